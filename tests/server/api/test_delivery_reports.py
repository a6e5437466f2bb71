"""GetDeliveryReport."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from domain.outcome import Failed, Outcome
from domain.streams import page_stream
from projections.sql import Sql
from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.error_pb2 import DeliveryError, ErrorType
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    FirstAttempts,
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
)
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, PAGE, UNCONFIRMED, fault, page_registered
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request

PEOPLE = ("ann", "bob", "cid", "dan")
HOUR = timedelta(hours=1)


def stamp(time: datetime) -> Timestamp:
    written = Timestamp()
    written.FromDatetime(time)
    return written


async def sent(edge: Edge, outcomes: Mapping[str, Outcome], **fields: Any) -> str:
    """Send to four recipients and record outcomes at NOW; recipients that are not named are sent to. Return the id."""
    message_id = (await edge.delivery.Send(send_request(*PEOPLE, **fields))).message.id
    await edge.deliver(message_id, outcomes)
    return message_id


async def report(edge: Edge, **fields: Any) -> GetDeliveryReportResponse:
    return await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(**fields))


def ids(answer: GetDeliveryReportResponse) -> list[str]:
    return [message.message_id for message in answer.messages]


async def test_a_message_is_reported_on(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": FAILED, "bob": FAILED_FOR_GOOD, "cid": UNCONFIRMED}, title="Spring sale")
    await edge.delivery.Resend(ResendRequest(message_id=message_id))  # resends to Ann
    await edge.deliver(message_id, {}, batch_number=2)

    answer = await report(edge, message_id=message_id)

    first = FirstAttempts(attempted=4, sent=1, success_rate=0.25)
    assert answer.first_attempts == first
    [message] = answer.messages
    assert (message.message_id, message.title, message.first_attempts) == (message_id, "Spring sale", first)
    assert list(answer.attempts) == [
        AttemptReport(attempt_number=1, made=4, sent=1, failed=2, unconfirmed=1),
        AttemptReport(attempt_number=2, made=1, sent=1),
    ]
    [hour] = answer.hours
    assert hour.start_time.ToSeconds() == int(NOW.timestamp())
    assert (hour.sent, hour.failed, hour.unconfirmed) == (2, 2, 1)
    assert answer.next_page_token == ""
    assert not answer.HasField("counted_from_time")


async def test_errors_are_sorted_by_frequency_with_their_share(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": FAILED, "bob": FAILED_FOR_GOOD, "cid": UNCONFIRMED, "dan": FAILED})

    answer = await report(edge, message_id=message_id)

    network = DeliveryError(message="no luck", type=ErrorType.ERROR_TYPE_NETWORK)
    permanent = DeliveryError(code=100, subcode=2018001, message="no luck", type=ErrorType.ERROR_TYPE_INVALID_RECIPIENT)
    assert list(answer.errors) == [
        CommonError(error=network, count=3, percentage=75.0),
        CommonError(error=permanent, count=1, percentage=25.0),
    ]


async def test_only_the_ten_commonest_errors_are_listed(edge: Edge) -> None:
    people = [f"u{number:02}" for number in range(12)]
    message_id = (await edge.delivery.Send(send_request(*people))).message.id
    outcomes: dict[str, Outcome] = {who: Failed(fault(code=place)) for place, who in enumerate(people)}
    await edge.deliver(message_id, outcomes)

    answer = await report(edge, message_id=message_id)

    assert len(answer.errors) == 10
    assert answer.errors[0].percentage == pytest.approx(100 / 12)


async def test_a_pending_message_has_an_empty_report(edge: Edge) -> None:
    message_id = (await edge.delivery.Send(send_request())).message.id

    answer = await report(edge, message_id=message_id)

    assert answer.first_attempts == FirstAttempts()
    assert ids(answer) == [message_id]
    assert [*answer.attempts, *answer.errors, *answer.hours] == []


async def test_a_page_is_reported_on_with_its_messages_newest_first_in_pages(edge: Edge) -> None:
    await edge.commit(page_stream("2002"), 0, page_registered("2002"))
    messages = [await sent(edge, {"ann": FAILED}) for _ in range(3)]
    await sent(edge, {}, page_id="2002")

    first = await report(edge, page_id=PAGE, page_size=2)
    second = await report(edge, page_id=PAGE, page_size=2, page_token=first.next_page_token)

    assert ids(first) + ids(second) == messages[::-1]
    assert second.next_page_token == ""
    assert first.first_attempts == second.first_attempts == FirstAttempts(attempted=12, sent=9, success_rate=0.75)


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (None, NOW + HOUR, True),
        (NOW, NOW + HOUR, True),
        (NOW + HOUR / 2, NOW + HOUR * 2 / 3, True),  # within the hour, so the whole hour counts
        (NOW + HOUR, None, False),
        (NOW - HOUR, NOW, False),
        (NOW - 2 * HOUR, NOW - HOUR / 2, False),  # extended to NOW, and no further
    ],
)
async def test_a_report_may_be_limited_to_some_hours(
    edge: Edge, start: datetime | None, end: datetime | None, found: bool
) -> None:
    """All outcomes were recorded at NOW, the start of an hour."""
    await sent(edge, {"ann": FAILED})
    times = {name: stamp(time) for name, time in (("start_time", start), ("end_time", end)) if time}

    answer = await report(edge, page_id=PAGE, **times)

    assert answer.first_attempts.attempted == (4 if found else 0)
    assert len(answer.attempts) == len(answer.errors) == len(answer.hours) == int(found)


async def test_with_a_time_range_only_messages_with_attempts_in_it_are_listed(edge: Edge) -> None:
    attempted = await sent(edge, {})
    await edge.delivery.Send(send_request())

    assert ids(await report(edge, page_id=PAGE, start_time=stamp(NOW))) == [attempted]
    assert ids(await report(edge, page_id=PAGE, start_time=stamp(NOW + HOUR))) == []
    assert len(ids(await report(edge, page_id=PAGE))) == 2


async def test_a_report_shows_that_outcomes_of_an_older_release_are_missing(edge: Edge) -> None:
    """This applies to earlier messages; newer ones are counted completely."""
    old = await sent(edge, {})

    def count_from_now(sql: Sql) -> None:
        sql.execute("UPDATE outcomes_counted SET since = :now", {"now": sql.clock()})

    await edge.log.write(count_from_now)
    new = await sent(edge, {})

    assert (await report(edge, message_id=old)).HasField("counted_from_time")
    assert (await report(edge, page_id=PAGE)).HasField("counted_from_time")
    assert not (await report(edge, message_id=new)).HasField("counted_from_time")


@pytest.mark.parametrize("message_id", ["m-unknown", "m-theirs"])
async def test_a_message_of_another_owner_is_not_found(edge: Edge, message_id: str) -> None:
    await edge.submit_as("another owner", "m-theirs")

    refusal = await refusal_of(report(edge, message_id=message_id))

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.info.reason == "MESSAGE_NOT_FOUND"


async def test_a_page_shows_the_callers_own_messages_only(edge: Edge) -> None:
    await edge.submit_as("another owner", "m-theirs")
    await edge.deliver("m-theirs", {})
    mine = await sent(edge, {})

    answer = await report(edge, page_id=PAGE)

    assert ids(answer) == [mine]
    assert answer.first_attempts.attempted == 4


async def test_an_unknown_page_is_a_failed_precondition(edge: Edge) -> None:
    refusal = await refusal_of(report(edge, page_id="nowhere"))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "PAGE_NOT_REGISTERED"


async def test_a_token_of_another_report_is_an_invalid_argument(edge: Edge) -> None:
    for _ in range(2):
        await sent(edge, {})
    token = (await report(edge, page_id=PAGE, page_size=1)).next_page_token

    refusal = await refusal_of(report(edge, page_id=PAGE, page_size=1, page_token=token, start_time=stamp(NOW)))

    assert list(refusal.violations) == ["page_token"]
