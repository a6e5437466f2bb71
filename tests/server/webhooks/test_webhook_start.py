"""Conditions that prevent the start of the webhook endpoint."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from server.webhooks.runner import running_webhooks
from server.webhooks.settings import WebhookSettings


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with running_webhooks(WebhookSettings(server="x:1", verify_token="v", app_secret="s")) as listening:
        yield listening


async def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    alone = WebhookSettings(server="x:1", verify_token="v", app_secret="s", client_cert=tmp_path / "client.pem")

    with pytest.raises(ValueError, match="go together"):
        async with running_webhooks(alone):
            pass


async def test_a_port_in_use_is_an_error(address: str) -> None:
    taken = WebhookSettings(port=httpx.URL(address).port or 0, server="x:1", verify_token="v", app_secret="s")

    with pytest.raises(OSError, match="address already in use"):
        async with running_webhooks(taken):
            pass
