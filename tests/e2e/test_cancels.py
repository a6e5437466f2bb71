"""Cancelling a message while it is sent."""

import pytest

from redrive import Client
from redrive.errors import FailedPrecondition
from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.message_pb2 import MessageStatus
from tests.e2e.campaign import assert_balanced, put_page, recipients, send_request, watch_until_done
from tests.e2e.processes import SandboxProcess


async def test_a_cancel_stops_deliveries_that_are_not_dispatched(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client, rate=200)
    sent = await client.send(send_request(recipients(1_000)))
    async for answer in client.watch_progress(sent.message.id):
        if answer.progress.counts.sent >= 20:
            break

    await client.cancel_message(sent.message.id)
    at_cancel = (await sandbox.control.summary()).received
    last = await watch_until_done(client, sent.message.id)

    assert last.status == MessageStatus.MESSAGE_STATUS_CANCELLED
    assert_balanced(last.counts)
    assert last.counts.cancelled > 0
    assert (last.counts.pending, last.counts.sending) == (0, 0)
    received = (await sandbox.control.summary()).received
    assert received == last.counts.sent
    assert received - at_cancel <= 2
    with pytest.raises(FailedPrecondition) as refused:
        await client.resend(ResendRequest(message_id=sent.message.id))
    assert refused.value.reason == "MESSAGE_CANCELLED"


async def test_a_second_cancel_changes_nothing_and_a_done_message_cannot_be_cancelled(client: Client) -> None:
    await put_page(client, rate=5)
    sent = await client.send(send_request(recipients(100)))
    first, second = [await client.cancel_message(sent.message.id) for _ in range(2)]
    assert first.status == second.status == MessageStatus.MESSAGE_STATUS_CANCELLED

    await put_page(client, rate=1_000)
    done = await client.send(send_request(recipients(1, "v")))
    await watch_until_done(client, done.message.id)
    with pytest.raises(FailedPrecondition) as refused:
        await client.cancel_message(done.message.id)
    assert refused.value.reason == "MESSAGE_DONE"
