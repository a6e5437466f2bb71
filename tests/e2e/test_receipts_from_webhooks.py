"""Webhooks from the sandbox through the endpoint to the server: echoes confirm unconfirmed deliveries."""

import json
import os
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from redrive import Client
from redrive.v1.delivery_pb2 import Delivery, DeliveryStatus
from redrive.v1.message_pb2 import Message, MessageStatus
from server.sandbox.webhooks import WebhookStatus
from tests.e2e.campaign import (
    assert_balanced,
    assert_no_duplicates,
    put_page,
    recipients,
    send_and_wait,
    send_request,
    watch_until_done,
)
from tests.e2e.processes import (
    SandboxProcess,
    ServerProcess,
    client_of,
    free_port,
    running_sandbox_process,
    running_server,
    running_webhooks_process,
)
from tests.e2e.programs import Program, start_program
from tests.waiting import eventually

SECRET = {"REDRIVE_WEBHOOK_APP_SECRET": "app-secret-7a6b"}
SECRETS = {**SECRET, "REDRIVE_WEBHOOK_VERIFY_TOKEN": "verify-5e4f"}


@pytest.fixture
def hook() -> int:
    """Return the port of the webhook endpoint."""
    return free_port()


@pytest.fixture
async def sandbox(hook: int) -> AsyncIterator[SandboxProcess]:
    address = f"http://127.0.0.1:{hook}/webhooks"
    async with running_sandbox_process(f"--webhook-url={address}", "--read-share=0.4", **SECRET) as sandbox:
        yield sandbox


@pytest.fixture
async def server(tmp_path: Path, sandbox: SandboxProcess) -> AsyncIterator[ServerProcess]:
    async with running_server(tmp_path, sandbox.graph_url, {"REDRIVE_ANSWER_SECONDS": "1"}) as server:
        yield server


@pytest.fixture
async def webhooks(tmp_path: Path, hook: int, server: ServerProcess) -> AsyncIterator[Program]:
    async with running_webhooks_process(hook, server.address, tmp_path / "webhooks.log", SECRETS) as process:
        yield process


async def webhooks_sent(sandbox: SandboxProcess) -> WebhookStatus:
    """Wait until the sandbox has sent all webhooks."""
    return await eventually(sandbox.control.webhooks, lambda status: not status.waiting, within=30)


async def all_deliveries(client: Client, message_id: str) -> list[Delivery]:
    return [delivery async for delivery in client.list_deliveries(message_id)]


async def test_an_echo_confirms_a_delivery_whose_response_was_lost(
    server: ServerProcess, sandbox: SandboxProcess, webhooks: Program, client: Client
) -> None:
    await sandbox.control.order(
        {"effect": {"kind": "timeout"}, "accepts": True, "share": 0.1, "seed": 1},
        {"effect": {"kind": "reset"}, "accepts": True, "share": 0.2, "seed": 2},
        {"effect": {"kind": "status"}, "accepts": True, "share": 0.2, "seed": 3},
    )
    await put_page(client)

    message = await send_and_wait(client, send_request(recipients(300)))
    await webhooks_sent(sandbox)

    message = await client.get_message(message.id)
    assert_balanced(message.counts)
    assert (message.status, message.counts.sent) == (MessageStatus.MESSAGE_STATUS_SENT, 300)
    assert sum(int(str(line["unconfirmed"])) for line in in_trouble(server)) >= 60, "by the workers' outcomes"
    found = await all_deliveries(client, message.id)
    assert {delivery.status for delivery in found} == {DeliveryStatus.DELIVERY_STATUS_SENT}
    assert all(delivery.provider_message_id and delivery.HasField("delivered_time") for delivery in found)
    assert 60 <= sum(delivery.HasField("read_time") for delivery in found) <= 180
    await assert_no_duplicates(sandbox)


def in_trouble(server: ServerProcess) -> list[dict[str, object]]:
    return [line for line in server.log_lines() if line["event"] == "deliveries_in_trouble"]


async def test_echoes_wait_while_the_server_is_down(
    tmp_path: Path, hook: int, server: ServerProcess, sandbox: SandboxProcess
) -> None:
    """Deliveries that were in flight at the kill turn out to have arrived."""
    await sandbox.control.order({"effect": {"kind": "delay", "seconds": 0.5}})
    async with client_of(server) as client:
        await put_page(client, rate=400)
        message = await _send_until(client, people=1_000, sent=100)
    await server.kill()

    async with running_webhooks_process(hook, server.address, tmp_path / "webhooks.log", SECRETS):
        await eventually(sandbox.control.webhooks, lambda status: status.last_answer == 503, within=30)
        assert (await sandbox.control.webhooks()).told == 0
        await server.start()
        async with client_of(server) as client:
            await watch_until_done(client, message.id)
            await webhooks_sent(sandbox)
            counts = (await client.get_message(message.id)).counts

    arrived = (await sandbox.control.summary()).recipients_accepted
    assert_balanced(counts)
    assert (counts.total, counts.failed, counts.cancelled, counts.pending, counts.sending) == (1_000, 0, 0, 0, 0)
    assert (counts.sent, counts.unconfirmed) == (arrived, 1_000 - arrived), (
        "only deliveries that never left are unconfirmed"
    )
    await assert_no_duplicates(sandbox)


async def test_an_echo_before_the_kill_prevents_unconfirmed(
    server: ServerProcess, sandbox: SandboxProcess, webhooks: Program
) -> None:
    """Echoes arrive at once; answers arrive only after half a second."""
    await sandbox.control.order({"effect": {"kind": "delay", "seconds": 0.5}})
    async with client_of(server) as client:
        await put_page(client, rate=400)
        message = await _send_until(client, people=1_000, sent=200)
    await server.kill()

    await server.start()
    async with client_of(server) as client:
        await watch_until_done(client, message.id)
        await webhooks_sent(sandbox)
        counts = (await client.get_message(message.id)).counts

    arrived = (await sandbox.control.summary()).recipients_accepted
    assert (counts.sent, counts.unconfirmed) == (arrived, 1_000 - arrived)
    await assert_no_duplicates(sandbox)


async def _send_until(client: Client, people: int, sent: int) -> Message:
    accepted = await client.send(send_request(recipients(people)))
    async for answer in client.watch_progress(accepted.message.id):
        if answer.progress.counts.sent >= sent:
            break
    return accepted.message


async def test_the_endpoint_exits_with_0_and_logs_no_secret(
    tmp_path: Path, sandbox: SandboxProcess, webhooks: Program, client: Client
) -> None:
    await put_page(client)
    await send_and_wait(client, send_request(recipients(10)))
    await webhooks_sent(sandbox)

    webhooks.terminate()

    assert await webhooks.wait() == 0
    lines = [json.loads(line) for line in (tmp_path / "webhooks.log").read_text().splitlines()]
    assert [lines[0]["event"], lines[-1]["event"]] == ["webhooks_listening", "webhooks_stopped"]
    assert sum(line.get("recorded", 0) for line in lines) >= 20
    assert not any(secret in repr(lines) for secret in SECRETS.values())


@pytest.mark.parametrize("missing", SECRETS)
async def test_the_endpoint_does_not_start_without_a_secret(missing: str) -> None:
    environment = {**os.environ, **SECRETS, missing: ""}
    process = await start_program("redrive-server", "webhooks", environment=environment, stderr=PIPE)

    _, errors = await process.communicate()

    assert process.returncode == 1
    assert f"redrive-server webhooks does not start: {missing} is not set".encode() in errors
