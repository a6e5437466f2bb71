"""`redrive retry`: the timer that retries by itself, and stuck batches."""

from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.messages import MessageId
from redrive.cli.output import facts, local_time, table
from redrive.cli.words import word
from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleResponse,
    ProcessBatchesResponse,
    RunScheduledRetriesResponse,
    ScheduledRetryResult,
    ScheduledRetryRun,
    ScheduledRetryStatus,
)

_RUN_COLUMNS = ("run", "messages eligible", "retried", "recipients")
_COLUMNS = ("message", "title", "status", "recipients", "batches", "automatic round")


async def run(session: Session) -> None:
    """Takes every message that retries by the timer now, due or not."""
    session.output.show(await session.client.run_scheduled_retries(), _render_run)


async def show_schedule(session: Session) -> None:
    """The timer's interval, its last runs and its next."""
    session.output.show(await session.client.get_retry_schedule(), _render_schedule)


async def process(session: Session, message_id: MessageId) -> None:
    """Frees a message's stuck batches and starts what is pending."""
    session.output.show(await session.client.process_batches(message_id), _render_process)


def _render_run(answer: RunScheduledRetriesResponse) -> Iterator[RenderableType]:
    yield Text(f"{answer.processed:,} messages are retried, to {answer.total_recipients:,} recipients.")
    yield from _render_results(answer.results)


def _render_schedule(answer: GetRetryScheduleResponse) -> Iterator[RenderableType]:
    yield facts(
        [
            ("every", answer.interval.ToTimedelta() if answer.HasField("interval") else "never: the timer is off"),
            ("next run", local_time(answer.next_run_time)),
            ("last run", local_time(answer.last_run_time) or "never"),
        ]
    )
    if answer.runs:
        yield table(_RUN_COLUMNS, map(_run, answer.runs))
    yield from _render_results(answer.last_results)


def _run(run: ScheduledRetryRun) -> tuple[object, ...]:
    return local_time(run.time), run.eligible, run.processed, run.total_recipients


def _render_process(answer: ProcessBatchesResponse) -> Iterator[RenderableType]:
    yield Text(f"{answer.released:,} stuck batches were freed; {answer.processing:,} are pending or started.")


def _render_results(results: Iterable[ScheduledRetryResult]) -> Iterator[RenderableType]:
    rows = [_row(result) for result in results]
    if rows:
        yield table(_COLUMNS, rows)


def _row(result: ScheduledRetryResult) -> tuple[object, ...]:
    return (
        result.message_id,
        result.title,
        word(ScheduledRetryStatus, result.status),
        result.recipients_count,
        result.batches_created,
        result.retry_attempt,
    )
