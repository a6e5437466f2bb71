"""The commands about resends and retries: `resend`, `retries` and `retry`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import CommandContext
from redrive.cli.content import ContentFileOption, TextOption, content_from_options
from redrive.cli.deliveries import ErrorTypes
from redrive.cli.enums import enum_name
from redrive.cli.lists import Limit, show_list
from redrive.cli.messages import MessageId, suspension_text
from redrive.cli.output import format_time, key_value_table, table
from redrive.cli.watch import NoWaitOption, follow
from redrive.errors import RedriveError
from redrive.texts.resends import CAUSE_TEXTS, cli_resend_advice, skip_text
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.resend_pb2 import (
    Canary,
    CanaryState,
    ListRetriesResponse,
    ResendCause,
    ResendPrediction,
    ResendRequest,
    ResendResponse,
    RetryRound,
    RetryTrigger,
    SkippedRecipients,
)
from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleResponse,
    ProcessBatchesResponse,
    RunScheduledRetriesResponse,
    ScheduledRetryResult,
    ScheduledRetryRun,
    ScheduledRetryStatus,
)


async def resend(
    ctx: CommandContext,
    message_id: MessageId,
    recipient: Annotated[list[str] | None, typer.Option(help="Only this recipient; repeatable.")] = None,
    error_type: ErrorTypes = None,
    include_unconfirmed: Annotated[
        bool,
        typer.Option("--include-unconfirmed", help="Also recipients that may have the message: they may get it twice."),
    ] = False,
    as_of_sequence: Annotated[
        int, typer.Option(help="Only recipients unchanged since this sequence of the message.", show_default=False)
    ] = 0,
    canary: Annotated[
        int | None, typer.Option(help="Send to this many first, and to the rest only if they do not fail.")
    ] = None,
    max_failure_share: Annotated[
        float, typer.Option(help="0 to 1: the share of the canary that may fail.", show_default=False)
    ] = 0.0,
    messages_per_second: Annotated[
        float, typer.Option(help="At most this rate, also if the page's rate is higher.", show_default=False)
    ] = 0.0,
    reason: Annotated[str, typer.Option(help="The reason; redrive retries shows it.", show_default=False)] = "",
    text: TextOption = "",
    content_file: ContentFileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be resent.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Then watch the message, like redrive watch.")] = False,
    no_wait_for_retries: NoWaitOption = False,
) -> None:
    """Resend to failed recipients; never to recipients that were sent the message.

    Without a selection it takes the retryable ones. Naming recipients or error types takes them even if another attempt
    is likely to fail. A corrected text or content applies to the recipients taken, now and in later rounds; while the
    message is paused, it also applies to everything that is pending.
    """
    request = ResendRequest(
        message_id=message_id,
        recipient_ids=recipient,
        error_types=map(ErrorType.Value, error_type or ()),
        include_unconfirmed=include_unconfirmed,
        as_of_sequence=as_of_sequence,
        canary=_canary(canary, max_failure_share),
        messages_per_second=messages_per_second,
        reason=reason,
        content=content_from_options(text, content_file),
        validate_only=dry_run,
    )
    response = await ctx.client.resend(request)
    ctx.output.show(response, _render_resend, one_line=watch)
    if watch and not dry_run:
        await follow(ctx, message_id, wait_for_retries=not no_wait_for_retries)


def _canary(recipients: int | None, max_failure_share: float) -> Canary | None:
    if recipients is None and max_failure_share:
        raise typer.BadParameter("--max-failure-share requires --canary.")
    return None if recipients is None else Canary(recipients=recipients, max_failure_share=max_failure_share)


def _render_resend(response: ResendResponse) -> Iterator[RenderableType]:
    batches = response.batches
    first = f", from number {batches.start_number}" if batches.total else ""
    yield Text(f"{response.recipients_to_retry:,} recipients to retry, in {batches.total:,} batches{first}.")
    if response.recipients_after_canary:
        yield Text(f"They are the canary: {response.recipients_after_canary:,} follow if it passes.")
    if response.predictions:
        yield table(("expected", "error type", "recipients"), map(_prediction, response.predictions))
    elif response.skipped:
        yield table(("skipped because", "recipients"), skipped_rows(response.skipped))
    yield from (Text(advice) for group in response.skipped if (advice := cli_resend_advice(group.reason)))


def _prediction(one: ResendPrediction) -> tuple[object, ...]:
    cause = CAUSE_TEXTS.get(one.cause, enum_name(ResendCause, one.cause))
    return cause, enum_name(ErrorType, one.error_type) if one.error_type else "", one.count


def skipped_rows(skipped: Sequence[SkippedRecipients]) -> list[tuple[str, int]]:
    """Return the skip reasons, and how many recipients were skipped for each."""
    return [(skip_text(group.reason).label, group.count) for group in skipped]


_ROUND_COLUMNS = (
    *("round", "requested", "trigger", "by", "reason", "selection", "skipped", "canary"),
    *("taken", "open", "sent", "failed", "unconfirmed", "cancelled"),  # taken is the sum of the others
)


async def list_retries(ctx: CommandContext, message_id: MessageId, limit: Limit = None) -> None:
    """List the rounds of a message, newest first: who asked for it, why, for whom, and its result."""
    await show_list(ctx.output, ctx.client.list_retries(message_id), _render_rounds, limit)
    if not ctx.output.as_json:
        with suppress(RedriveError):  # the rounds are shown already: a note that cannot be read is no error
            if (await ctx.client.get_message(message_id)).automatic_rounds_suspended:
                ctx.output.print_text(f"Suspended: {suspension_text(message_id)}.")


def _render_rounds(response: ListRetriesResponse) -> Iterator[RenderableType]:
    yield table(_ROUND_COLUMNS, map(_round_row, response.rounds))


def _round_row(found: RetryRound) -> tuple[object, ...]:
    counts = found.counts
    return (
        found.round,
        format_time(found.request_time),
        enum_name(RetryTrigger, found.trigger),
        found.requested_by,
        found.reason,
        ", ".join(_selection_text(found)),
        ", ".join(f"{count:,} {reason}" for reason, count in skipped_rows(found.skipped)),
        _canary_text(found),
        found.recipients,
        counts.pending + counts.sending,
        counts.sent,
        counts.failed,
        counts.unconfirmed,
        counts.cancelled,
    )


def _selection_text(found: RetryRound) -> Iterator[str]:
    """Yield the parts of the selection."""
    selection = found.selection
    if selection.recipients_named:
        yield "named recipients"
    yield from (enum_name(ErrorType, kind) for kind in selection.error_types)
    if not selection.recipients_named and not selection.error_types:
        yield "retryable"
    if selection.include_unconfirmed:
        yield "and unconfirmed"
    if selection.as_of_sequence:
        yield f"as of {selection.as_of_sequence}"
    if selection.content_changed:
        yield "corrected content"
    if selection.messages_per_second:
        yield f"at most {selection.messages_per_second:g}/s"


def _canary_text(found: RetryRound) -> str:
    if not found.canary_state:
        return ""
    canary = found.selection.canary
    state = enum_name(CanaryState, found.canary_state)
    return f"{state}: {canary.recipients:,} recipients, at most {canary.max_failure_share:.0%} may fail"


_RUN_COLUMNS = ("run", "messages eligible", "retried", "recipients")
_RESULT_COLUMNS = ("message", "title", "status", "recipients", "batches", "automatic round")


async def run(ctx: CommandContext) -> None:
    """Retry every message with timer retries now, due or not."""
    ctx.output.show(await ctx.client.run_scheduled_retries(), _render_run)


async def show_schedule(ctx: CommandContext) -> None:
    """Show the interval of the retry timer, its last runs and its next."""
    ctx.output.show(await ctx.client.get_retry_schedule(), _render_schedule)


async def process(ctx: CommandContext, message_id: MessageId) -> None:
    """Reclaim the stuck batches of a message, and start its pending ones."""
    ctx.output.show(await ctx.client.process_batches(message_id), _render_process)


def _render_run(response: RunScheduledRetriesResponse) -> Iterator[RenderableType]:
    yield Text(f"{response.processed:,} messages are retried, for {response.total_recipients:,} recipients.")
    yield from _render_results(response.results)


def _render_schedule(response: GetRetryScheduleResponse) -> Iterator[RenderableType]:
    yield key_value_table(
        [
            ("every", response.interval.ToTimedelta() if response.HasField("interval") else "never: the timer is off"),
            ("next run", format_time(response.next_run_time)),
            ("last run", format_time(response.last_run_time) or "never"),
        ]
    )
    if response.runs:
        yield table(_RUN_COLUMNS, map(_run_row, response.runs))
    yield from _render_results(response.last_results)


def _run_row(run: ScheduledRetryRun) -> tuple[object, ...]:
    return format_time(run.time), run.eligible, run.processed, run.total_recipients


def _render_process(response: ProcessBatchesResponse) -> Iterator[RenderableType]:
    yield Text(f"{response.released:,} stuck batches were reclaimed; {response.processing:,} are pending or started.")


def _render_results(results: Iterable[ScheduledRetryResult]) -> Iterator[RenderableType]:
    rows = [_result_row(result) for result in results]
    if rows:
        yield table(_RESULT_COLUMNS, rows)


def _result_row(result: ScheduledRetryResult) -> tuple[object, ...]:
    return (
        result.message_id,
        result.title,
        enum_name(ScheduledRetryStatus, result.status),
        result.recipients_count,
        result.batches_created,
        result.retry_attempt,
    )
