"""Resend and CancelMessage."""

import grpc

from domain import message as messages
from domain.outcome import Outcome
from domain.streams import message_stream
from redrive.v1.delivery_service_pb2 import CancelMessageRequest, ResendBatches, SkippedRecipients, SkipReason
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus
from server.commands.lookup import load_message
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, UNCONFIRMED
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import resend, send_request

OUTCOMES: dict[str, Outcome] = {"ann": FAILED_FOR_GOOD, "bob": FAILED, "cid": UNCONFIRMED}


def skipped(reason: SkipReason.ValueType, count: int = 1) -> SkippedRecipients:
    return SkippedRecipients(reason=reason, count=count)


async def sent_with_failures(edge: Edge) -> str:
    """Send: Ann failed permanently, Bob temporarily, Cid is unconfirmed, Dan was sent to; return the id."""
    message_id = (await edge.delivery.Send(send_request("ann", "bob", "cid", "dan"))).message.id
    await edge.deliver(message_id, OUTCOMES)
    return message_id


async def test_a_plain_resend_takes_retryable_recipients_and_counts_the_skipped_ones(edge: Edge) -> None:
    answer = await edge.delivery.Resend(resend(await sent_with_failures(edge)))

    assert answer.recipients_to_retry == 1
    assert answer.batches == ResendBatches(total=1, size=100, start_number=2)
    assert list(answer.skipped) == [
        skipped(SkipReason.SKIP_REASON_ALREADY_SENT),
        skipped(SkipReason.SKIP_REASON_PERMANENT_ERROR),
        skipped(SkipReason.SKIP_REASON_UNCONFIRMED),
    ]


async def test_named_recipients_and_types_are_taken_despite_permanent_errors(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)

    request = resend(message_id, recipient_ids=["ann", "cid", "dan", "eve"], include_unconfirmed=True)
    answer = await edge.delivery.Resend(request)
    by_type = await edge.delivery.Resend(resend(message_id, error_types=[ErrorType.ERROR_TYPE_NETWORK]))

    assert answer.recipients_to_retry == 2
    assert list(answer.skipped) == [
        skipped(SkipReason.SKIP_REASON_ALREADY_SENT),
        skipped(SkipReason.SKIP_REASON_UNKNOWN_RECIPIENT),
    ]
    assert by_type.recipients_to_retry == 1


async def test_a_dry_run_of_a_resend_changes_nothing(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)

    dry = await edge.delivery.Resend(resend(message_id, validate_only=True))

    del dry.predictions[:]
    assert dry == await edge.delivery.Resend(resend(message_id))


async def test_a_repeated_resend_gets_the_first_answer(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)

    first = await edge.delivery.Resend(resend(message_id, request_id="r-1"))
    again = await edge.delivery.Resend(resend(message_id, request_id="r-1"))
    refusal = await refusal_of(edge.delivery.Resend(resend(message_id, request_id="r-1", include_unconfirmed=True)))

    assert again == first
    assert refusal.info.reason == "REQUEST_ID_REUSED"


async def test_a_resend_without_recipients_is_answered(edge: Edge) -> None:
    message_id = (await edge.delivery.Send(send_request("ann"))).message.id

    answer = await edge.delivery.Resend(resend(message_id))

    assert answer.recipients_to_retry == 0
    assert answer.batches == ResendBatches(size=100)
    assert list(answer.skipped) == [skipped(SkipReason.SKIP_REASON_IN_PROGRESS)]


async def test_every_cancel_answers_the_cancelled_message(edge: Edge) -> None:
    message_id = (await edge.delivery.Send(send_request())).message.id
    request = CancelMessageRequest(message_id=message_id, request_id="c-1")

    message = (await edge.delivery.CancelMessage(request)).message

    assert message.status == MessageStatus.MESSAGE_STATUS_CANCELLED
    assert (message.counts.cancelled, message.counts.pending) == (2, 0)
    assert (await edge.delivery.CancelMessage(request)).message == message


async def test_nothing_is_resent_after_a_cancel(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)
    await edge.delivery.CancelMessage(CancelMessageRequest(message_id=message_id))

    refusal = await refusal_of(edge.delivery.Resend(resend(message_id)))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "MESSAGE_CANCELLED"


async def test_a_done_message_cannot_be_cancelled(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)
    message = await load_message(edge.log, message_id)
    completed = messages.complete(message, open_deliveries=0, now=NOW)
    await edge.commit(message_stream(message_id), message.version, completed)

    refusal = await refusal_of(edge.delivery.CancelMessage(CancelMessageRequest(message_id=message_id)))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "MESSAGE_DONE"
    assert refusal.precondition.violations[0].subject == f"messages/{message_id}"
