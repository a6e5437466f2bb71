"""A sandbox on a real port, and its callers."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox, running_sandbox

TOKEN = "T1"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as running:
        yield running


@pytest.fixture
def control(sandbox: Sandbox) -> SandboxControl:
    return sandbox.control


@pytest.fixture
async def graph(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as client:
        yield client


@pytest.fixture
def send(graph: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """Return a function that sends one message as JSON."""

    async def send_one(
        recipient: str = "u1", *, page: str = "1001", token: str = TOKEN, metadata: str = "", **options: Any
    ) -> httpx.Response:
        body = {
            "recipient": {"id": recipient},
            "message": {"text": "Hello", "metadata": metadata},
            "access_token": token,
        }
        return await graph.post(f"/{page}/messages", json=body, **options)

    return send_one


@pytest.fixture
def send_batch(sandbox: Sandbox, graph: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """Return a function that sends one message to each recipient in a form-encoded batch."""

    async def send_all(
        recipients: Sequence[str],
        *,
        token: str = TOKEN,
        part_token: str = "",
        relative_url: str = "me/messages",
        **fields: str,
    ) -> httpx.Response:
        own = {"access_token": part_token} if part_token else {}
        bodies = [
            urlencode({"recipient": json.dumps({"id": recipient}), "message": '{"text":"Hello"}', **own})
            for recipient in recipients
        ]
        parts = [{"method": "POST", "relative_url": relative_url, "body": body} for body in bodies]
        form = {"access_token": token, "batch": json.dumps(parts), **fields}
        return await graph.post(httpx.URL(sandbox.url).join("/"), data=form)

    return send_all
