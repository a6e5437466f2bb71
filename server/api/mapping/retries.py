"""Answers out: what the retry timer did, and when it runs."""

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

Shown = AbstractSet[str]  # the messages that the caller may read about; the others are counted only


def retries_run(results: Sequence[TimerResult], shown: Shown, labels: Labels) -> RunScheduledRetriesResponse:
    """What one run did."""
    started = [result for result in results if result.status is TimerStatus.STARTED]
    return RunScheduledRetriesResponse(
        processed=len(started),
        total_recipients=sum(result.recipients for result in started),
        results=_results(results, shown, labels),
    )


def _results(results: Sequence[TimerResult], shown: Shown, labels: Labels) -> Iterator[ScheduledRetryResult]:
    return (_result(result, labels) for result in results if result.message_id in shown)


def _result(result: TimerResult, labels: Labels) -> ScheduledRetryResult:
    return ScheduledRetryResult(
        message_id=result.message_id,
        title=labels.titles.open(result.title, result.message_id),
        status=SCHEDULED_RETRY_STATUSES.number(result.status),
        recipients_count=result.recipients,
        batches_created=result.batches,
        retry_attempt=result.retry_attempt,
    )


def batches_processed(released: int, processing: int) -> ProcessBatchesResponse:
    """How many batches were freed, and how many are open now."""
    return ProcessBatchesResponse(released=released, processing=processing)


def schedule(known: RetrySchedule, runs: Sequence[TimerRun], shown: Shown, labels: Labels) -> GetRetryScheduleResponse:
    """When the timer runs, and what it did lately."""
    return GetRetryScheduleResponse(
        interval=duration(known.interval),
        next_run_time=timestamp(known.next_run_time),
        last_run_time=timestamp(known.last_run_time),
        last_results=_results(known.last_results, shown, labels),
        runs=(_run(run, shown, labels) for run in runs),
    )


def _run(run: TimerRun, shown: Shown, labels: Labels) -> ScheduledRetryRun:
    return ScheduledRetryRun(
        time=timestamp(run.time),
        eligible=run.eligible,
        processed=run.started,
        total_recipients=run.recipients,
        results=_results(run.results, shown, labels),
    )
