"""ReportService.SummarizeFailures."""

from collections.abc import Mapping
from typing import Any

import grpc

from domain.outcome import Outcome
from domain.streams import page_stream
from projections.sql import micros
from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.error_pb2 import DeliveryError, ErrorType
from redrive.v1.report_service_pb2 import (
    ErrorTypeFailures,
    MessageFailures,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    NOW,
    UNCONFIRMED,
    page_registered,
)
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request

NETWORK, INVALID_RECIPIENT = ErrorType.ERROR_TYPE_NETWORK, ErrorType.ERROR_TYPE_INVALID_RECIPIENT


async def sent(edge: Edge, outcomes: Mapping[str, Outcome], **fields: Any) -> str:
    """Send to Ann, Bob and Cid and record outcomes; recipients that are not named are sent to. Return the id."""
    message_id = (await edge.delivery.Send(send_request("ann", "bob", "cid", **fields))).message.id
    await edge.deliver(message_id, outcomes)
    return message_id


async def summary(edge: Edge, **fields: Any) -> SummarizeFailuresResponse:
    return await edge.reports.SummarizeFailures(SummarizeFailuresRequest(**fields))


def ids(answer: SummarizeFailuresResponse) -> list[str]:
    return [message.message_id for message in answer.messages]


async def test_failures_are_summarized_by_message_and_error_type(edge: Edge) -> None:
    outcomes: dict[str, Outcome] = {"ann": FAILED, "bob": FAILED_FOR_GOOD, "cid": UNCONFIRMED}
    message_id = await sent(edge, outcomes, title="Spring sale")

    [message] = (await summary(edge)).messages

    network = ErrorTypeFailures(
        error_type=NETWORK, count=2, sample_error=DeliveryError(message="no luck", type=NETWORK)
    )
    permanent = ErrorTypeFailures(
        error_type=INVALID_RECIPIENT,
        count=1,
        sample_error=DeliveryError(code=100, subcode=2018001, message="no luck", type=INVALID_RECIPIENT),
    )
    for failures in (network, permanent):
        failures.first_time.FromMicroseconds(micros(NOW))
        failures.last_time.FromMicroseconds(micros(NOW))
    assert message == MessageFailures(message_id=message_id, title="Spring sale", error_types=[network, permanent])


async def test_messages_without_failures_are_omitted_even_if_named(edge: Edge) -> None:
    failed, fine = await sent(edge, {"ann": FAILED}), await sent(edge, {})

    assert ids(await summary(edge)) == [failed]
    assert ids(await summary(edge, message_ids=[fine, failed])) == [failed]


async def test_a_recipient_that_is_resent_is_not_listed_as_failed(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": FAILED, "bob": FAILED_FOR_GOOD})

    await edge.delivery.Resend(ResendRequest(message_id=message_id))

    [message] = (await summary(edge)).messages
    assert [(one.error_type, one.count) for one in message.error_types] == [(INVALID_RECIPIENT, 1)]


async def test_summaries_are_listed_newest_message_first_in_pages(edge: Edge) -> None:
    messages = [await sent(edge, {"ann": FAILED}) for _ in range(5)]

    first = await summary(edge, page_size=3)
    second = await summary(edge, page_size=3, page_token=first.next_page_token)

    assert ids(first) + ids(second) == messages[::-1]
    assert second.next_page_token == ""


async def test_named_messages_are_listed_newest_first_and_once(edge: Edge) -> None:
    old, _, new = [await sent(edge, {"ann": FAILED}) for _ in range(3)]

    assert ids(await summary(edge, message_ids=[old, new, old])) == [new, old]


async def test_a_page_and_named_messages_limit_the_summary(edge: Edge) -> None:
    await edge.commit(page_stream("2002"), 0, page_registered("2002"))
    here, there = await sent(edge, {"ann": FAILED}), await sent(edge, {"ann": FAILED}, page_id="2002")

    assert ids(await summary(edge, page_id="2002")) == [there]
    assert ids(await summary(edge, page_id="2002", message_ids=[here, there])) == [there]
    assert ids(await summary(edge, page_id="3003")) == []


async def test_failures_of_another_owner_are_not_shown(edge: Edge) -> None:
    await edge.submit_as("another owner", "m-theirs")
    await edge.deliver("m-theirs", {"ann": FAILED})
    mine = await sent(edge, {"ann": FAILED})

    assert ids(await summary(edge)) == [mine]
    for named in (["m-theirs"], ["m-unknown"], [mine, "m-theirs"]):
        refusal = await refusal_of(summary(edge, message_ids=named))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert refusal.info.reason == "MESSAGE_NOT_FOUND"


async def test_a_token_of_another_summary_is_an_invalid_argument(edge: Edge) -> None:
    for _ in range(2):
        await sent(edge, {"ann": FAILED})
    token = (await summary(edge, page_size=1)).next_page_token

    refusal = await refusal_of(summary(edge, page_size=1, page_id="1001", page_token=token))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.violations) == ["page_token"]
