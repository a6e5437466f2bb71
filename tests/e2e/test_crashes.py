"""SIGKILL during a send, then a restart: no loss, no duplicate, and deliveries in flight are unconfirmed."""

import asyncio

from redrive import Client
from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import SendMode
from tests.e2e.campaign import (
    assert_balanced,
    assert_no_duplicates,
    put_page,
    recipients,
    send_request,
    watch_until_done,
)
from tests.e2e.processes import SandboxProcess, ServerProcess, client_of
from tests.waiting import eventually

NEVER_STOPS = 2**31 - 1  # attempts


async def _send_until(client: Client, people: int, sent: int) -> Message:
    accepted = await client.send(send_request(recipients(people)))
    async for answer in client.watch_progress(accepted.message.id):
        if answer.progress.counts.sent >= sent:
            break
    return accepted.message


async def test_a_killed_server_continues_after_a_restart(server: ServerProcess, sandbox: SandboxProcess) -> None:
    await sandbox.control.order({"effect": {"kind": "delay", "seconds": 0.3}})
    async with client_of(server) as client:
        await put_page(client, rate=400)
        message = await _send_until(client, people=1_500, sent=100)
    await server.kill()
    in_flight = (await sandbox.control.summary()).received

    await server.start()
    async with client_of(server) as client:
        last = await watch_until_done(client, message.id)

        assert_balanced(last.counts)
        assert (last.counts.total, last.counts.failed, last.counts.cancelled) == (1_500, 0, 0)
        assert last.counts.sent + last.counts.unconfirmed == 1_500
        assert 0 < last.counts.unconfirmed <= 400, "only what was dispatched when the process was killed"
        await assert_no_duplicates(sandbox)
        assert (await sandbox.control.summary()).received >= in_flight
        await _resend_only_what_is_asked_for(client, message.id, last.counts.unconfirmed)


async def _resend_only_what_is_asked_for(client: Client, message_id: str, unconfirmed: int) -> None:
    nothing = await client.resend(ResendRequest(message_id=message_id))
    assert nothing.recipients_to_retry == 0
    asked = await client.resend(ResendRequest(message_id=message_id, include_unconfirmed=True))
    assert asked.recipients_to_retry == unconfirmed
    await watch_until_done(client, message_id)
    assert (await client.get_message(message_id)).counts.sent == 1_500


async def test_an_accepted_message_survives_a_kill_before_its_first_delivery(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    async with client_of(server) as client:
        await put_page(client, rate=0.5)
        accepted = await client.send(send_request(recipients(400)))
    await server.kill()

    await server.start()
    async with client_of(server) as client:
        await put_page(client, rate=5_000)
        last = await watch_until_done(client, accepted.message.id)
        assert last.counts.sent + last.counts.unconfirmed == 400
        assert last.counts.unconfirmed <= 1
    await assert_no_duplicates(sandbox)


async def test_a_resend_whose_planning_was_killed_is_planned_completely_after_a_restart(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    """The client does not call Resend again; the first slice of the plan holds all that is needed."""
    await sandbox.control.order({"preset": "temporary", "times": 1})
    async with client_of(server) as client:
        await put_page(client, rate=100_000, mode=SendMode.SEND_MODE_BATCH)
        header = send_request([])
        header.stop_policy.min_attempts = NEVER_STOPS
        accepted = await client.send_stream(header, recipients(25_000))
        await watch_until_done(client, accepted.message.id)
        asked = asyncio.create_task(client.resend(ResendRequest(message_id=accepted.message.id)))
        message = await eventually(
            lambda: client.get_message(accepted.message.id), lambda message: message.counts.failed < 25_000
        )
        await server.kill()
        await asyncio.gather(asked, return_exceptions=True)
    assert message.counts.failed > 0, "the server must be killed during the planning"

    await server.start()
    async with client_of(server) as client:
        last = await watch_until_done(client, accepted.message.id)

    assert_balanced(last.counts)
    assert last.counts.sent + last.counts.unconfirmed == 25_000
    await assert_no_duplicates(sandbox)


async def test_a_stopped_server_releases_undispatched_deliveries_and_exits_with_0(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    async with client_of(server) as client:
        await put_page(client, rate=100)
        message = await _send_until(client, people=500, sent=30)
    assert await server.stop() == 0
    received = (await sandbox.control.summary()).received

    await server.start()
    async with client_of(server) as client:
        last = await watch_until_done(client, message.id)
        assert (last.counts.sent, last.counts.unconfirmed) == (500, 0)
    assert received < 500
    await assert_no_duplicates(sandbox)
