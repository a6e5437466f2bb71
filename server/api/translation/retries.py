"""Answers out: what the retry timer did, and when it runs."""

from collections.abc import Sequence

from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleResponse,
    ProcessBatchesResponse,
    RunScheduledRetriesResponse,
    ScheduledRetryResult,
    ScheduledRetryRun,
)
from server.api.translation.enum_words import SCHEDULED_RETRY_STATUSES
from server.api.translation.times import duration, timestamp
from server.delivery.timer_report import RetrySchedule, TimerResult, TimerRun, TimerStatus


def retries_run(results: Sequence[TimerResult]) -> RunScheduledRetriesResponse:
    """What one run did."""
    started = [result for result in results if result.status is TimerStatus.STARTED]
    return RunScheduledRetriesResponse(
        processed=len(started),
        total_recipients=sum(result.recipients for result in started),
        results=map(_result, results),
    )


def _result(result: TimerResult) -> ScheduledRetryResult:
    return ScheduledRetryResult(
        message_id=result.message_id,
        title=result.title,
        status=SCHEDULED_RETRY_STATUSES.number(result.status),
        recipients_count=result.recipients,
        batches_created=result.batches,
        retry_attempt=result.retry_attempt,
    )


def batches_processed(released: int, processing: int) -> ProcessBatchesResponse:
    """How many batches were freed, and how many are open now."""
    return ProcessBatchesResponse(released=released, processing=processing)


def schedule(known: RetrySchedule, runs: Sequence[TimerRun]) -> GetRetryScheduleResponse:
    """When the timer runs, and what it did lately."""
    return GetRetryScheduleResponse(
        interval=duration(known.interval),
        next_run_time=timestamp(known.next_run_time),
        last_run_time=timestamp(known.last_run_time),
        last_results=map(_result, known.last_results),
        runs=map(_run, runs),
    )


def _run(run: TimerRun) -> ScheduledRetryRun:
    return ScheduledRetryRun(
        time=timestamp(run.time),
        eligible=run.eligible,
        processed=run.started,
        total_recipients=run.recipients,
        results=map(_result, run.results),
    )
