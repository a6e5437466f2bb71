"""ListFailed: failed recipients, their retryability, and the time of the next retry."""

from typing import Any

import pytest

from domain.outcome import Outcome
from domain.streams import message_stream
from projections.sql import micros
from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    FailureStats,
    ListFailedRequest,
    ListFailedResponse,
)
from redrive.v1.error_pb2 import ErrorType, ErrorTypeCount
from redrive.v1.message_pb2 import RetryPolicy, RetryType
from server.commands.lookup import load_message
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, UNCONFIRMED, after, retry_requested
from tests.server.api.edge import Edge
from tests.server.api.requests import send_request

CRON = RetryPolicy(type=RetryType.RETRY_TYPE_CRON, max_retry_attempts=3)
OUTCOMES: dict[str, Outcome] = {"ann": FAILED_FOR_GOOD, "bob": FAILED, "cid": UNCONFIRMED}


async def sent_with_failures(edge: Edge, **fields: Any) -> str:
    """Send: Ann failed permanently, Bob temporarily, Cid is unconfirmed, Dan was sent to; return the id."""
    message_id = (await edge.delivery.Send(send_request("ann", "bob", "cid", "dan", **fields))).message.id
    await edge.deliver(message_id, OUTCOMES)
    return message_id


async def failed(edge: Edge, message_id: str, **fields: Any) -> ListFailedResponse:
    return await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id, **fields))


def names(answer: ListFailedResponse) -> list[str]:
    return [recipient.recipient_id for recipient in answer.failed_recipients]


async def test_failed_and_unconfirmed_recipients_are_listed_with_their_last_error(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)

    ann, bob, cid = (await failed(edge, message_id)).failed_recipients

    known = FailedRecipient(
        recipient_id="ann",
        recipient_name="Ann",
        last_error_code=100,
        last_error_subcode=2018001,
        last_error_message="no luck",
        last_error_type=ErrorType.ERROR_TYPE_INVALID_RECIPIENT,
        attempt_count=1,
    )
    known.last_attempt_time.FromMicroseconds(micros(NOW))
    assert ann == known
    assert (bob.recipient_id, bob.retryable, bob.unconfirmed) == ("bob", True, False)
    assert (cid.recipient_id, cid.retryable, cid.unconfirmed) == ("cid", False, True)


async def test_the_counts_cover_the_whole_message_for_every_filter(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)

    answer = await failed(edge, message_id, error_types=[ErrorType.ERROR_TYPE_INVALID_RECIPIENT])

    assert names(answer) == ["ann"]
    assert answer.message_id == message_id
    assert answer.retryable_count == 1
    assert answer.stats == FailureStats(sent=1, failed=2, total=4, unconfirmed=1)
    assert list(answer.error_type_counts) == [
        ErrorTypeCount(error_type=ErrorType.ERROR_TYPE_NETWORK, count=2),
        ErrorTypeCount(error_type=ErrorType.ERROR_TYPE_INVALID_RECIPIENT, count=1),
    ]
    assert answer.max_retry_attempts == 3


async def test_retryable_only_lists_the_recipients_of_a_plain_resend(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)

    assert names(await failed(edge, message_id, retryable_only=True)) == ["bob"]


async def test_failures_are_listed_by_recipient_in_pages(edge: Edge) -> None:
    message_id = await sent_with_failures(edge)

    first = await failed(edge, message_id, page_size=2)
    second = await failed(edge, message_id, page_size=2, page_token=first.next_page_token)

    assert (names(first), names(second)) == (["ann", "bob"], ["cid"])
    assert second.next_page_token == ""


async def next_retries(edge: Edge, message_id: str) -> dict[str, int | None]:
    """Return the time of each recipient's next retry in microseconds."""
    return {
        one.recipient_id: one.next_retry_time.ToMicroseconds() if one.HasField("next_retry_time") else None
        for one in (await failed(edge, message_id)).failed_recipients
    }


async def test_retryable_recipients_of_a_cron_message_have_a_next_retry_time(edge: Edge) -> None:
    message_id = await sent_with_failures(edge, retry_policy=CRON)

    assert await next_retries(edge, message_id) == {"ann": None, "bob": micros(after(900)), "cid": None}


@pytest.mark.parametrize("kind", [RetryType.RETRY_TYPE_MANUAL, RetryType.RETRY_TYPE_AUTO])
async def test_other_messages_have_no_next_retry_time(edge: Edge, kind: RetryType.ValueType) -> None:
    message_id = await sent_with_failures(edge, retry_policy=RetryPolicy(type=kind))

    assert set((await next_retries(edge, message_id)).values()) == {None}


async def test_no_next_retry_time_is_shown_after_the_last_round(edge: Edge) -> None:
    message_id = await sent_with_failures(edge, retry_policy=CRON)
    version = (await load_message(edge.log, message_id)).version
    used_up = retry_requested(message_id=message_id, retry_count=3, recipients=0, batches=0)
    await edge.commit(message_stream(message_id), version, used_up)

    assert set((await next_retries(edge, message_id)).values()) == {None}


async def test_no_next_retry_time_is_shown_after_a_cancel(edge: Edge) -> None:
    message_id = await sent_with_failures(edge, retry_policy=CRON)
    await edge.delivery.CancelMessage(CancelMessageRequest(message_id=message_id))

    assert set((await next_retries(edge, message_id)).values()) == {None}
