"""Mapping of RetryService to responses."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleResponse,
    ProcessBatchesResponse,
    RunScheduledRetriesResponse,
    ScheduledRetryResult,
    ScheduledRetryRun,
)
from server.api.mapping.enums import SCHEDULED_RETRY_STATUSES
from server.api.mapping.times import duration, timestamp
from server.background.timer_report import RetrySchedule, TimerResult, TimerRun, TimerStatus
from server.crypto.labels import Labels

VisibleMessages = AbstractSet[str]  # ids that the caller may see; other messages are only counted


def run_retries_response(
    results: Sequence[TimerResult], visible: VisibleMessages, labels: Labels
) -> RunScheduledRetriesResponse:
    """Return what a run did; results only of visible messages."""
    started = [result for result in results if result.status is TimerStatus.STARTED]
    return RunScheduledRetriesResponse(
        processed=len(started),
        total_recipients=sum(result.recipients for result in started),
        results=_results(results, visible, labels),
    )


def _results(
    results: Sequence[TimerResult], visible: VisibleMessages, labels: Labels
) -> Iterator[ScheduledRetryResult]:
    return (_result(result, labels) for result in results if result.message_id in visible)


def _result(result: TimerResult, labels: Labels) -> ScheduledRetryResult:
    return ScheduledRetryResult(
        message_id=result.message_id,
        title=labels.titles.open(result.title, result.message_id),
        status=SCHEDULED_RETRY_STATUSES.number(result.status),
        recipients_count=result.recipients,
        batches_created=result.batches,
        retry_attempt=result.retry_attempt,
    )


def process_batches_response(released: int, processing: int) -> ProcessBatchesResponse:
    """Return the numbers of released batches and of open ones."""
    return ProcessBatchesResponse(released=released, processing=processing)


def retry_schedule_response(
    schedule: RetrySchedule, runs: Sequence[TimerRun], visible: VisibleMessages, labels: Labels
) -> GetRetryScheduleResponse:
    """Return the times of the timer's runs, and what the last ones did."""
    return GetRetryScheduleResponse(
        interval=duration(schedule.interval),
        next_run_time=timestamp(schedule.next_run_time),
        last_run_time=timestamp(schedule.last_run_time),
        last_results=_results(schedule.last_results, visible, labels),
        runs=(_run(run, visible, labels) for run in runs),
    )


def _run(run: TimerRun, visible: VisibleMessages, labels: Labels) -> ScheduledRetryRun:
    return ScheduledRetryRun(
        time=timestamp(run.time),
        eligible=run.eligible,
        processed=run.started,
        total_recipients=run.recipients,
        results=_results(run.results, visible, labels),
    )
