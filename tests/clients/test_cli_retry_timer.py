"""Requests and output of `redrive retry`."""

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleResponse,
    ProcessBatchesResponse,
    RunScheduledRetriesResponse,
    ScheduledRetryResult,
    ScheduledRetryRun,
    ScheduledRetryStatus,
)

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer


async def test_disabled_timer_is_shown(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("GetRetrySchedule", GetRetryScheduleResponse())

    assert "never: the timer is off" in (await redrive("retry", "schedule")).stdout


async def test_the_retry_timer_is_run_and_shown(server: "ScriptedServer", redrive: "Redrive") -> None:
    taken = ScheduledRetryResult(
        message_id="m1", status=ScheduledRetryStatus.SCHEDULED_RETRY_STATUS_STARTED, recipients_count=40
    )
    server.answer("RunScheduledRetries", RunScheduledRetriesResponse(processed=1, total_recipients=40, results=[taken]))
    runs = [ScheduledRetryRun(eligible=1_234, processed=7), ScheduledRetryRun()]
    schedule_ = GetRetryScheduleResponse(interval=Duration(seconds=900), last_results=[taken], runs=runs)
    server.answer("GetRetrySchedule", schedule_)
    server.answer("ProcessBatches", ProcessBatchesResponse(released=2, processing=3))

    run, schedule, process = (
        await redrive("retry", "run"),
        await redrive("retry", "schedule"),
        await redrive("retry", "process", "m1"),
    )

    assert "1 messages are retried, for 40 recipients." in run.stdout
    assert "STARTED" in run.stdout
    assert "0:15:00" in schedule.stdout
    assert "never" in schedule.stdout
    assert "1,234" in schedule.stdout
    assert "2 stuck batches were reclaimed; 3 are pending or started." in process.stdout
    assert server.asked("ProcessBatches")[0].message_id == "m1"
