"""SIGKILL in mid-send, and a restart: nothing is lost, nothing is sent twice, what was in flight is unconfirmed."""

import asyncio

from redrive import Client
from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import SendMode
from tests.e2e.campaign import (
    assert_balanced,
    assert_nobody_twice,
    put_page,
    recipients,
    send_request,
    watch_to_the_end,
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


async def test_a_killed_server_goes_on_where_it_was(server: ServerProcess, sandbox: SandboxProcess) -> None:
    await sandbox.control.order({"effect": {"kind": "delay", "seconds": 0.3}})
    async with client_of(server) as client:
        await put_page(client, rate=400)
        message = await _send_until(client, people=1_500, sent=100)
    await server.kill()
    in_flight = (await sandbox.control.summary()).received

    await server.start()
    async with client_of(server) as client:
        last = await watch_to_the_end(client, message.id)

        assert_balanced(last.counts)
        assert (last.counts.total, last.counts.failed, last.counts.cancelled) == (1_500, 0, 0)
        assert last.counts.sent + last.counts.unconfirmed == 1_500
        assert 0 < last.counts.unconfirmed <= 400, "what was dispatched when the process died, and no more"
        await assert_nobody_twice(sandbox)
        assert (await sandbox.control.summary()).received >= in_flight
        await _resend_only_what_is_asked_for(client, message.id, last.counts.unconfirmed)


async def _resend_only_what_is_asked_for(client: Client, message_id: str, unconfirmed: int) -> None:
    nothing = await client.resend(ResendRequest(message_id=message_id))
    assert nothing.recipients_to_retry == 0
    asked = await client.resend(ResendRequest(message_id=message_id, include_unconfirmed=True))
    assert asked.recipients_to_retry == unconfirmed
    await watch_to_the_end(client, message_id)
    assert (await client.get_message(message_id)).counts.sent == 1_500


async def test_a_message_that_was_accepted_survives_a_kill_before_anything_left(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    async with client_of(server) as client:
        await put_page(client, rate=0.5)
        accepted = await client.send(send_request(recipients(400)))
    await server.kill()

    await server.start()
    async with client_of(server) as client:
        await put_page(client, rate=5_000)
        last = await watch_to_the_end(client, accepted.message.id)
        assert last.counts.sent + last.counts.unconfirmed == 400
        assert last.counts.unconfirmed <= 1
    await assert_nobody_twice(sandbox)


async def test_a_server_that_is_killed_while_it_plans_a_resend_plans_it_to_its_end(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    """Nobody asks again: what the first slice said is enough."""
    await sandbox.control.order({"preset": "temporary", "times": 1})
    async with client_of(server) as client:
        await put_page(client, rate=100_000, mode=SendMode.SEND_MODE_BATCH)
        header = send_request([])
        header.stop_policy.min_attempts = NEVER_STOPS
        accepted = await client.send_stream(header, recipients(25_000))
        await watch_to_the_end(client, accepted.message.id)
        asked = asyncio.create_task(client.resend(ResendRequest(message_id=accepted.message.id)))
        message = await eventually(
            lambda: client.get_message(accepted.message.id), lambda message: message.counts.failed < 25_000
        )
        await server.kill()
        await asyncio.gather(asked, return_exceptions=True)
    assert message.counts.failed > 0, "it was killed while it planned"

    await server.start()
    async with client_of(server) as client:
        last = await watch_to_the_end(client, accepted.message.id)

    assert_balanced(last.counts)
    assert last.counts.sent + last.counts.unconfirmed == 25_000
    await assert_nobody_twice(sandbox)


async def test_a_stopped_server_lets_go_what_has_not_left_and_exits_with_0(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    async with client_of(server) as client:
        await put_page(client, rate=100)
        message = await _send_until(client, people=500, sent=30)
    assert await server.stop() == 0
    received = (await sandbox.control.summary()).received

    await server.start()
    async with client_of(server) as client:
        last = await watch_to_the_end(client, message.id)
        assert (last.counts.sent, last.counts.unconfirmed) == (500, 0)
    assert received < 500
    await assert_nobody_twice(sandbox)
