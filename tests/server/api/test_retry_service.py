"""RetryService."""

from datetime import timedelta

import grpc

from domain.errors import MessageNotFound
from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleRequest,
    ProcessBatchesRequest,
    ProcessBatchesResponse,
    RunScheduledRetriesRequest,
    ScheduledRetryResult,
    ScheduledRetryStatus,
)
from server.background.timer_report import RetrySchedule, TimerResult, TimerRun, TimerStatus
from tests.builders import NOW, OWNER, after
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of

STARTED = TimerResult(
    message_id="m-1", title="Spring", status=TimerStatus.STARTED, recipients=150, batches=2, retry_attempt=1
)
RESULTS = [
    STARTED,
    TimerResult(message_id="m-2", title="Summer", status=TimerStatus.NOTHING_TO_DO),
    TimerResult(message_id="m-3", title="Autumn", status=TimerStatus.RETRY_AFTER),
]


async def submitted(edge: Edge) -> None:
    """Create the messages of the results."""
    for result in RESULTS:
        await edge.submit_as(OWNER, result.message_id)


async def test_a_run_reports_its_result_for_every_message(edge: Edge) -> None:
    await submitted(edge)
    edge.timer.results = [*RESULTS, STARTED]

    answer = await edge.retries.RunScheduledRetries(RunScheduledRetriesRequest())

    assert (answer.processed, answer.total_recipients) == (2, 300)
    assert [result.message_id for result in answer.results] == ["m-1", "m-2", "m-3", "m-1"]
    assert answer.results[0] == ScheduledRetryResult(
        message_id="m-1",
        title="Spring",
        status=ScheduledRetryStatus.SCHEDULED_RETRY_STATUS_STARTED,
        recipients_count=150,
        batches_created=2,
        retry_attempt=1,
    )


async def test_a_schedule_before_the_first_run_has_no_last_run(edge: Edge) -> None:
    answer = await edge.retries.GetRetrySchedule(GetRetryScheduleRequest())

    assert answer.interval.ToTimedelta() == timedelta(minutes=15)
    assert answer.next_run_time.ToSeconds() == int(after(900).timestamp())
    assert not answer.HasField("last_run_time")
    assert not answer.last_results


async def test_a_timer_that_is_off_has_no_next_run(edge: Edge) -> None:
    edge.timer.known = RetrySchedule(interval=None, next_run_time=None, last_run_time=NOW, last_results=[])

    answer = await edge.retries.GetRetrySchedule(GetRetryScheduleRequest())

    assert not answer.HasField("interval")
    assert not answer.HasField("next_run_time")
    assert answer.last_run_time.ToSeconds() == int(NOW.timestamp())


async def test_a_schedule_shows_its_last_run(edge: Edge) -> None:
    await submitted(edge)
    edge.timer.known = RetrySchedule(
        interval=timedelta(seconds=1.5), next_run_time=after(1.5), last_run_time=NOW, last_results=RESULTS
    )

    answer = await edge.retries.GetRetrySchedule(GetRetryScheduleRequest())

    assert answer.interval.ToTimedelta() == timedelta(seconds=1.5)
    assert answer.last_run_time.ToSeconds() == int(NOW.timestamp())
    assert [result.status for result in answer.last_results] == [
        ScheduledRetryStatus.SCHEDULED_RETRY_STATUS_STARTED,
        ScheduledRetryStatus.SCHEDULED_RETRY_STATUS_NOTHING_TO_DO,
        ScheduledRetryStatus.SCHEDULED_RETRY_STATUS_RETRY_AFTER,
    ]


async def test_a_schedule_shows_the_results_of_the_last_runs(edge: Edge) -> None:
    await submitted(edge)
    edge.timer.runs = [
        TimerRun(time=after(900), eligible=0, started=0, recipients=0, results=[]),
        TimerRun(time=NOW, eligible=3, started=1, recipients=150, results=RESULTS),
    ]

    last, before = (await edge.retries.GetRetrySchedule(GetRetryScheduleRequest())).runs

    assert (last.time.ToSeconds(), last.eligible) == (int(after(900).timestamp()), 0)
    assert (before.eligible, before.processed, before.total_recipients) == (3, 1, 150)
    assert [result.message_id for result in before.results] == ["m-1", "m-2", "m-3"]


async def test_stuck_batches_of_the_caller_are_released(edge: Edge) -> None:
    edge.stuck.freed = (2, 5)

    answer = await edge.retries.ProcessBatches(ProcessBatchesRequest(message_id="m-1"))

    assert answer == ProcessBatchesResponse(released=2, processing=5)
    assert edge.stuck.asked == [(OWNER, "m-1")]


async def test_batches_of_an_unknown_message_are_not_found(edge: Edge) -> None:
    edge.stuck.error = MessageNotFound("m-1")

    refusal = await refusal_of(edge.retries.ProcessBatches(ProcessBatchesRequest(message_id="m-1")))

    assert refusal.code is grpc.StatusCode.NOT_FOUND


async def test_a_defect_of_the_service_is_internal_and_shows_no_details(edge: Edge) -> None:
    edge.stuck.error = RuntimeError("EAAG-secret")

    refusal = await refusal_of(edge.retries.ProcessBatches(ProcessBatchesRequest(message_id="m-1")))

    assert refusal.code is grpc.StatusCode.INTERNAL
    assert "EAAG" not in f"{refusal}"
    assert "RuntimeError" not in f"{refusal}"
