"""Scheduled sends and retry schedules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from domain import message as messages
from domain.streams import message_stream
from projections.sql import Sql, micros
from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListFailedRequest,
    ListMessagesRequest,
    PauseMessageRequest,
    Recipients,
    SendStreamRequest,
)
from redrive.v1.message_pb2 import ExponentialBackoff, Message, MessageStatus, RetryPolicy, RetryType
from redrive.v1.page_service_pb2 import HoldPageRequest
from redrive.v1.report_service_pb2 import SummarizeFailuresRequest
from server.background.timer_report import RetrySchedule
from server.commands.lookup import load_message
from tests.builders import FAILED, PAGE, after, wall_clock
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request, stream_header

MINUTE = timedelta(minutes=1)
CRON, AUTO = RetryType.RETRY_TYPE_CRON, RetryType.RETRY_TYPE_AUTO
PAUSED, PENDING = MessageStatus.MESSAGE_STATUS_PAUSED, MessageStatus.MESSAGE_STATUS_PENDING


def span(seconds: float) -> Duration:
    written = Duration()
    written.FromTimedelta(timedelta(seconds=seconds))
    return written


def at(time: datetime) -> Timestamp:
    written = Timestamp()
    written.FromDatetime(time)
    return written


async def sent(edge: Edge, *ids: str, **fields: Any) -> Message:
    return (await edge.delivery.Send(send_request(*ids, **fields))).message


async def get(edge: Edge, message_id: str) -> Message:
    return (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message


async def ended(edge: Edge, policy: RetryPolicy, *, ago: timedelta = timedelta(0)) -> str:
    """Create a message that failed for Ann and ended this long ago; return its id."""
    message_id = (await sent(edge, "ann", "bob", retry_policy=policy)).id
    await edge.deliver(message_id, {"ann": FAILED})
    message = await load_message(edge.log, message_id)
    completed = messages.complete(message, open_deliveries=0, now=wall_clock() - ago)
    await edge.commit(message_stream(message_id), message.version, completed)
    return message_id


# Scheduled sends


async def test_a_scheduled_message_shows_its_time(edge: Edge) -> None:
    time = at(datetime.now(UTC) + timedelta(days=366) - MINUTE)

    message = await sent(edge, schedule_time=time)

    assert (message.status, message.schedule_time) == (PENDING, Timestamp(seconds=time.seconds, nanos=time.nanos))
    assert (await get(edge, message.id)).schedule_time == message.schedule_time
    assert not (await sent(edge)).HasField("schedule_time")


async def test_a_scheduled_stream_shows_its_time(edge: Edge) -> None:
    time = at(after(0) + timedelta(days=200))
    parts = [
        SendStreamRequest(header=stream_header(schedule_time=time)),
        SendStreamRequest(recipients=Recipients(recipients=[Recipient(id="ann", name="Ann")])),
    ]

    answer = await edge.delivery.SendStream(iter(parts))

    assert answer.message.schedule_time == time


async def test_a_dry_run_of_a_scheduled_message_checks_its_time(edge: Edge) -> None:
    too_late = at(datetime.now(UTC) + timedelta(days=366) + MINUTE)

    refusal = await refusal_of(edge.delivery.Send(send_request(schedule_time=too_late, validate_only=True)))
    answer = await edge.delivery.Send(send_request(schedule_time=at(wall_clock() + MINUTE), validate_only=True))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.violations == {"schedule_time": "must be at most 366 days ahead"}
    assert answer.message.HasField("schedule_time")
    assert await edge.rows("messages") == 0


# Retry schedules


@pytest.mark.parametrize(
    "policy",
    [
        RetryPolicy(type=CRON, max_retry_attempts=3, interval=span(90)),
        RetryPolicy(
            type=AUTO,
            max_retry_attempts=5,
            backoff=ExponentialBackoff(
                initial_interval=span(1), multiplier=1.5, maximum_interval=span(3_600), jitter=0.25
            ),
        ),
    ],
)
async def test_a_policy_is_answered_as_it_was_given(edge: Edge, policy: RetryPolicy) -> None:
    message_id = (await sent(edge, retry_policy=policy)).id

    assert (await get(edge, message_id)).retry_policy == policy


async def test_a_backoff_has_its_defaults(edge: Edge) -> None:
    backoff = ExponentialBackoff(initial_interval=span(60))

    shown = (await sent(edge, retry_policy=RetryPolicy(type=CRON, backoff=backoff))).retry_policy.backoff

    assert (shown.multiplier, shown.maximum_interval, shown.jitter) == (2.0, span(86_400), 0.0)
    week = ExponentialBackoff(initial_interval=span(7 * 86_400))
    shown = (await sent(edge, retry_policy=RetryPolicy(type=CRON, backoff=week))).retry_policy.backoff
    assert shown.maximum_interval == span(7 * 86_400)


# Next retry times


async def next_times(edge: Edge, message_id: str) -> tuple[int | None, ...]:
    """Return the time in GetMessage, ListMessages, SummarizeFailures and ListFailed (for Ann), in microseconds."""
    listed = await edge.delivery.ListMessages(ListMessagesRequest())
    failed = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id))
    summed_up = await edge.reports.SummarizeFailures(SummarizeFailuresRequest(message_ids=[message_id]))
    shown = (
        await get(edge, message_id),
        next(one for one in listed.messages if one.id == message_id),
        summed_up.messages[0],
        failed.failed_recipients[0],
    )
    return tuple(one.next_retry_time.ToMicroseconds() if one.HasField("next_retry_time") else None for one in shown)


async def set_retry_after(edge: Edge, until: datetime) -> None:
    statement = "INSERT INTO page_owners (page_id, worker, generation, closed_until) VALUES (:page, '', 1, :until)"

    def write(sql: Sql) -> None:
        sql.execute(statement, {"page": PAGE, "until": micros(until)})

    await edge.log.write(write)


async def test_the_next_round_of_a_message_with_a_schedule_is_shown(edge: Edge) -> None:
    message_id = await ended(edge, RetryPolicy(type=CRON, interval=span(3_600)))
    end = (await get(edge, message_id)).end_time.ToMicroseconds()

    assert await next_times(edge, message_id) == (end + 3_600_000_000,) * 4


async def test_a_retry_after_postpones_the_next_round(edge: Edge) -> None:
    message_id = await ended(edge, RetryPolicy(type=AUTO, interval=span(60)))
    opens = wall_clock() + timedelta(hours=2)
    await set_retry_after(edge, opens)

    assert await next_times(edge, message_id) == (micros(opens),) * 4


async def test_a_cron_message_without_a_schedule_shows_the_timers_next_run(edge: Edge) -> None:
    message_id = await ended(edge, RetryPolicy(type=CRON))

    assert await next_times(edge, message_id) == (micros(after(900)),) * 4


async def test_a_retry_after_postpones_it_to_the_next_run_after_it(edge: Edge) -> None:
    now = wall_clock()
    edge.timer.known = RetrySchedule(
        interval=timedelta(minutes=15), next_run_time=now + MINUTE, last_run_time=None, last_results=[]
    )
    message_id = await ended(edge, RetryPolicy(type=CRON))
    await set_retry_after(edge, now + 20 * MINUTE)

    assert await next_times(edge, message_id) == (micros(now + 31 * MINUTE),) * 4


@pytest.mark.parametrize("policy", [RetryPolicy(), RetryPolicy(type=AUTO)])
async def test_no_time_is_shown_without_a_later_round(edge: Edge, policy: RetryPolicy) -> None:
    message_id = await ended(edge, policy)

    assert await next_times(edge, message_id) == (None,) * 4


async def test_no_time_is_shown_while_a_message_is_paused(edge: Edge) -> None:
    message_id = await ended(edge, RetryPolicy(type=CRON, interval=span(3_600)))

    message = (await edge.delivery.PauseMessage(PauseMessageRequest(message_id=message_id))).message

    assert (message.status, message.HasField("end_time")) == (PAUSED, False)
    assert await next_times(edge, message_id) == (None,) * 4


async def test_no_time_is_shown_while_the_page_is_on_hold(edge: Edge) -> None:
    message_id = await ended(edge, RetryPolicy(type=CRON, interval=span(3_600)))

    await edge.pages.HoldPage(HoldPageRequest(page_id=PAGE, reason="a wrong link"))

    assert await next_times(edge, message_id) == (None,) * 4


async def test_a_round_that_is_about_to_start_is_still_shown(edge: Edge) -> None:
    message_id = await ended(edge, RetryPolicy(type=CRON, interval=span(60)), ago=MINUTE + timedelta(seconds=2))
    end = (await get(edge, message_id)).end_time.ToMicroseconds()

    assert await next_times(edge, message_id) == (end + 60_000_000,) * 4


async def test_a_past_time_without_a_retryable_recipient_is_not_shown(edge: Edge) -> None:
    message_id = await ended(edge, RetryPolicy(type=CRON, interval=span(60)), ago=2 * MINUTE)

    assert await next_times(edge, message_id) == (None,) * 4
