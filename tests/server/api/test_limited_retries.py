"""Limited and suspended automatic rounds: no time is shown for a round that will not start."""

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from domain import message as messages
from domain.message_events import RetryStopped
from domain.streams import message_stream
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
    ListMessagesRequest,
    ResumeMessageRequest,
)
from redrive.v1.message_pb2 import Message, MessageStatus, RetryPolicy, RetryType
from redrive.v1.resend_pb2 import Canary, ResendRequest
from server.commands.lookup import load_message
from tests.builders import FAILED, wall_clock
from tests.server.api.edge import Edge
from tests.server.api.requests import send_request

WAIT = Duration(seconds=90)
AUTO = RetryPolicy(type=RetryType.RETRY_TYPE_AUTO, interval=WAIT)
CRON = RetryPolicy(type=RetryType.RETRY_TYPE_CRON)
MANUAL = RetryPolicy(type=RetryType.RETRY_TYPE_MANUAL)


async def get(edge: Edge, message_id: str) -> Message:
    return (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message


async def end(edge: Edge, message_id: str) -> None:
    message = await load_message(edge.log, message_id)
    completed = messages.complete(message, open_deliveries=0, now=wall_clock())
    await edge.commit(message_stream(message_id), message.version, completed)


async def failed(edge: Edge, policy: RetryPolicy) -> str:
    """Create a done message that failed for Ann and Bob; return its id."""
    message_id = (await edge.delivery.Send(send_request("ann", "bob", retry_policy=policy))).message.id
    await edge.deliver(message_id, {"ann": FAILED, "bob": FAILED})
    await end(edge, message_id)
    return message_id


async def stopped(edge: Edge, policy: RetryPolicy) -> str:
    """Create a message whose canary failed for Ann; return its id."""
    message_id = await failed(edge, policy)
    await edge.delivery.Resend(ResendRequest(message_id=message_id, canary=Canary(recipients=1)))
    await edge.deliver(message_id, {"ann": FAILED}, batch_number=2)
    message = await load_message(edge.log, message_id)
    stop = messages.stop_after_canary(message, failed=1, unconfirmed=0, now=wall_clock())
    assert isinstance(stop, RetryStopped)
    await edge.commit(message_stream(message_id), message.version, stop)
    await end(edge, message_id)
    return message_id


async def promised(edge: Edge, message_id: str) -> tuple[bool, set[str], set[str]]:
    """Return whether GetMessage shows a next retry, and for which recipients ListFailed and ListDeliveries do."""
    listed = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id))
    attempts = await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id))
    return (
        (await get(edge, message_id)).HasField("next_retry_time"),
        {one.recipient_id for one in listed.failed_recipients if one.HasField("next_retry_time")},
        {one.recipient_id for one in attempts.deliveries if one.HasField("next_retry_time")},
    )


async def test_a_time_is_shown_only_for_recipients_within_the_limit(edge: Edge) -> None:
    message_id = await failed(edge, AUTO)
    assert await promised(edge, message_id) == (True, {"ann", "bob"}, {"ann", "bob"})
    await edge.delivery.Resend(ResendRequest(message_id=message_id, recipient_ids=["ann"]))
    await edge.deliver(message_id, {"ann": FAILED}, batch_number=2)
    await end(edge, message_id)

    listed = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id))

    assert await promised(edge, message_id) == (True, {"ann"}, {"ann"})
    assert (listed.retryable_count, [one.retryable for one in listed.failed_recipients]) == (2, [True, True])


async def test_no_time_is_shown_without_retryable_recipients_within_the_limit(edge: Edge) -> None:
    message_id = await failed(edge, AUTO)
    await edge.delivery.Resend(ResendRequest(message_id=message_id, recipient_ids=["ann"]))
    await edge.deliver(message_id, {}, batch_number=2)
    await end(edge, message_id)

    assert await promised(edge, message_id) == (False, set(), set())


@pytest.mark.parametrize("policy", [AUTO, CRON])
async def test_a_suspended_message_shows_its_suspension_and_no_time(edge: Edge, policy: RetryPolicy) -> None:
    message_id = await stopped(edge, policy)

    message = await get(edge, message_id)
    listed = await edge.delivery.ListMessages(ListMessagesRequest())

    assert message.automatic_rounds_suspended
    assert message.status == MessageStatus.MESSAGE_STATUS_FAILED
    assert [one.automatic_rounds_suspended for one in listed.messages] == [True]
    assert await promised(edge, message_id) == (False, set(), set())


@pytest.mark.parametrize("policy", [AUTO, CRON])
async def test_after_a_resume_the_wait_starts(edge: Edge, policy: RetryPolicy) -> None:
    message_id = await stopped(edge, policy)

    resumed = (await edge.delivery.ResumeMessage(ResumeMessageRequest(message_id=message_id))).message

    assert (resumed.automatic_rounds_suspended, resumed.status) == (False, MessageStatus.MESSAGE_STATUS_FAILED)
    assert await promised(edge, message_id) == (True, {"ann", "bob"}, {"ann", "bob"})
    if policy == AUTO:
        due = (await get(edge, message_id)).next_retry_time.ToDatetime(wall_clock().tzinfo)
        assert timedelta(seconds=80) < due - wall_clock() <= timedelta(seconds=90)


async def test_a_message_with_a_manual_policy_is_not_suspended(edge: Edge) -> None:
    assert not (await get(edge, await stopped(edge, MANUAL))).automatic_rounds_suspended


async def test_the_events_show_the_limits_of_automatic_rounds(edge: Edge) -> None:
    message_id = await stopped(edge, AUTO)
    await edge.delivery.Resend(ResendRequest(message_id=message_id, recipient_ids=["ann"]))

    events = (await edge.delivery.ListEvents(ListEventsRequest(message_id=message_id, without_batches=True))).events

    summaries = {event.name: event.summary for event in events}
    assert summaries["RetryRequested"].endswith("automatic rounds take recipients of batch 3 and later ones only")
