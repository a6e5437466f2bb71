"""The sandbox sends webhooks for accepted messages, as the platform does."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from typer.testing import CliRunner

from server.sandbox.__main__ import cli
from server.sandbox.control import OrderRefusedError
from server.sandbox.runner import Sandbox, running_sandbox
from server.sandbox.settings import SandboxSettings
from server.sandbox.webhooks import WebhookStatus, WebhookTarget
from tests.waiting import eventually

SECRET = "app-secret"


class Receiver:
    """A webhook endpoint that stores requests and answers the next status; the last one is repeated."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses = [200]
        self.requests: list[tuple[bytes, str]] = []

    async def receive(self, request: web.Request) -> web.Response:
        self.requests.append((await request.read(), request.headers["X-Hub-Signature-256"]))
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the accepted requests, in order."""
        return [
            event for body, _ in self.requests for entry in json.loads(body)["entry"] for event in entry["messaging"]
        ]

    async def received(self, at_least: int) -> list[dict[str, Any]]:
        async def read() -> list[dict[str, Any]]:
            return self.events()

        return await eventually(read, lambda events: len(events) >= at_least)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiving = Receiver()
    app = web.Application()
    app.add_routes([web.post("/hook", receiving.receive)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiving.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield receiving
    await runner.cleanup()


@pytest.fixture
async def sandbox(receiver: Receiver) -> AsyncIterator[Sandbox]:
    target = WebhookTarget(url=receiver.url, app_secret=SECRET, read_share=0.5)
    async with running_sandbox(SandboxSettings(webhook=target)) as running:
        yield running


async def send(sandbox: Sandbox, recipient: str, metadata: str = "m-1.1.0", page: str = "1001") -> httpx.Response:
    body = {
        "recipient": {"id": recipient},
        "message": {"text": "Hello", "metadata": metadata},
        "access_token": "T",
    }
    async with httpx.AsyncClient() as client:
        return await client.post(f"{sandbox.url}/{page}/messages", json=body)


async def test_a_message_is_echoed_and_delivered(sandbox: Sandbox, receiver: Receiver) -> None:
    mid = (await send(sandbox, "u1")).json()["message_id"]

    echo, delivery = (await receiver.received(2))[:2]

    assert (echo["sender"], echo["recipient"]) == ({"id": "1001"}, {"id": "u1"})
    assert echo["message"] == {"is_echo": True, "mid": mid, "metadata": "m-1.1.0"}
    assert (delivery["sender"], delivery["recipient"]) == ({"id": "u1"}, {"id": "1001"})
    assert delivery["delivery"]["mids"] == [mid]
    assert delivery["delivery"]["watermark"] >= echo["timestamp"]


async def test_bodies_have_the_platforms_form_and_signature(sandbox: Sandbox, receiver: Receiver) -> None:
    await send(sandbox, "u1", page="1001")
    await send(sandbox, "u1", page="2002")
    await receiver.received(4)

    pages = []
    for body, signature in receiver.requests:
        assert signature == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        read = json.loads(body)
        assert read["object"] == "page"
        pages += [entry["id"] for entry in read["entry"]]
    assert set(pages) == {"1001", "2002"}


async def test_the_echo_of_a_message_without_metadata_has_none(sandbox: Sandbox, receiver: Receiver) -> None:
    await send(sandbox, "u1", metadata="")

    assert "metadata" not in (await receiver.received(2))[0]["message"]


async def test_a_fixed_share_of_recipients_reads_messages(sandbox: Sandbox, receiver: Receiver) -> None:
    for _ in range(2):
        for number in range(20):
            await send(sandbox, f"u{number}")
    await eventually(sandbox.control.webhooks, lambda status: not status.waiting)

    readers = [event["sender"]["id"] for event in receiver.events() if "read" in event]
    assert 2 <= len(set(readers)) <= 18
    assert all(readers.count(reader) == 2 for reader in readers)


async def test_accepted_messages_have_webhooks_and_refused_ones_have_none(sandbox: Sandbox, receiver: Receiver) -> None:
    await sandbox.control.order(
        {"preset": "sent_anyway", "recipients": ["u1"]}, {"preset": "unknown_recipient", "recipients": ["u2"]}
    )
    for recipient in ("u1", "u2", "u3"):
        await send(sandbox, recipient)
    await eventually(sandbox.control.webhooks, lambda status: not status.waiting)

    assert [event["recipient"]["id"] for event in receiver.events() if "message" in event] == ["u1", "u3"]


async def test_a_webhook_without_a_200_answer_is_sent_again(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.statuses = [503, 500, 200]
    await send(sandbox, "u1", metadata="m-1.1.0")

    status = await eventually(sandbox.control.webhooks, lambda status: status.told >= 2)

    bodies = {body for body, _ in receiver.requests}
    assert (len(receiver.requests), len(bodies)) == (3, 1)
    assert status == WebhookStatus(waiting=0, told=status.told, refusals=2, last_answer=200)


async def test_a_reset_clears_waiting_webhooks(sandbox: Sandbox, receiver: Receiver) -> None:
    receiver.statuses = [503]
    await send(sandbox, "u1")
    await eventually(sandbox.control.webhooks, lambda status: status.refusals > 0)

    await sandbox.control.reset()
    assert (await sandbox.control.webhooks()).waiting == 0
    receiver.statuses = [200]
    await send(sandbox, "u2")
    await eventually(sandbox.control.webhooks, lambda status: status.last_answer == 200)

    assert receiver.events()[-1]["timestamp"]
    assert {"u2"} == {event["recipient"]["id"] for event in receiver.events()[-3:] if "message" in event}


async def test_webhooks_wait_for_an_unavailable_endpoint() -> None:
    target = WebhookTarget(url="http://127.0.0.1:9/hook", app_secret=SECRET)
    async with running_sandbox(SandboxSettings(webhook=target)) as sandbox:
        await send(sandbox, "u1")
        status = await eventually(sandbox.control.webhooks, lambda status: status.refusals > 0)
        assert (status.waiting, status.told, status.last_answer) == (2, 0, 0)


async def test_without_a_webhook_endpoint_the_status_is_not_found() -> None:
    async with running_sandbox() as sandbox:
        with pytest.raises(OrderRefusedError, match="--webhook-url"):
            await sandbox.control.webhooks()


def test_the_secret_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDRIVE_WEBHOOK_APP_SECRET", raising=False)

    result = CliRunner().invoke(cli, ["--webhook-url", "http://127.0.0.1:9/hook"])

    assert result.exit_code == 2
    assert "REDRIVE_WEBHOOK_APP_SECRET" in result.output


def test_no_secret_is_shown() -> None:
    settings = SandboxSettings(webhook=WebhookTarget(url="http://x/hook", app_secret=SECRET))

    assert SECRET not in repr(settings)
