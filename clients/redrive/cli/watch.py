"""The command `redrive watch`."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as LiveBar

from redrive.cli.command import CommandContext
from redrive.cli.enums import enum_name
from redrive.cli.exit_codes import ExitCode
from redrive.cli.messages import MessageId, suspension_text
from redrive.cli.output import Output, format_time
from redrive.cli.pages import pause_text
from redrive.client import Client
from redrive.errors import RedriveError
from redrive.texts.resends import cli_resend_advice
from redrive.texts.stops import hold_remedy, stop_cause_text, stop_remedy
from redrive.texts.visible_text import shown
from redrive.v1.delivery_service_pb2 import ResendRequest, WatchProgressResponse
from redrive.v1.message_pb2 import MessageStatus, RetryType
from redrive.v1.progress_pb2 import Progress

_WITH_FAILURES = {ExitCode.ENDED_WITH_FAILURES, ExitCode.RETRY_IS_DUE}


NoWaitOption = Annotated[
    bool,
    typer.Option(
        "--no-wait-for-retries",
        help="End when nothing is pending, even if an automatic round is due later (exit code 12).",
    ),
]


async def watch_message(ctx: CommandContext, message_id: MessageId, no_wait_for_retries: NoWaitOption = False) -> None:
    """Watch a message until it is done and no automatic retry is due.

    Between two rounds it shows when the next one is due. It ends if the page is put on hold, because nothing is retried
    then. It does not end while the message is paused. Ctrl-C ends the watch, not the message.

    Exit code 10: failed or unconfirmed recipients are left; 11: cancelled; 12: an automatic retry is due later (with
    --no-wait-for-retries).
    """
    await follow(ctx, message_id, wait_for_retries=not no_wait_for_retries)


async def follow(ctx: CommandContext, message_id: str, *, wait_for_retries: bool) -> None:
    """Show each change; end the command with the exit code for the message's end."""
    progress = Progress()
    try:
        with _display(ctx.output) as show:
            async for response in ctx.client.watch_progress(message_id, wait_for_retries=wait_for_retries):
                progress = response.progress
                show(response)
    except asyncio.CancelledError:
        _print_interrupted(ctx.output, message_id, progress)
        raise
    retry_is_due = not wait_for_retries and await _retry_is_due(ctx.client, message_id, progress)
    code = ExitCode.RETRY_IS_DUE if retry_is_due else _exit_code(progress)
    if code in _WITH_FAILURES and not ctx.output.as_json:
        for line in await _next_steps(ctx.client, message_id):
            ctx.output.print_text(line)
        if progress.automatic_rounds_suspended:
            ctx.output.print_text(f"Suspended: {suspension_text(message_id)}.")
    if code is not ExitCode.OK:
        raise typer.Exit(code)


async def _retry_is_due(client: Client, message_id: str, progress: Progress) -> bool:
    """Return whether an automatic round is due that has recipients to retry."""
    if not progress.HasField("next_retry_time"):
        return False
    return (await client.list_failed(message_id, retryable_only=True, page_size=1).page()).retryable_count > 0


def _print_interrupted(output: Output, message_id: str, progress: Progress) -> None:
    """Print the last progress after Ctrl-C."""
    if progress.HasField("counts"):
        output.print_text(f"Interrupted. {_line(progress)}")
    state = "stays stopped" if progress.HasField("stop") else "continues"
    output.print_text(f"The message {state}; redrive watch {message_id} watches it again.")


async def _next_steps(client: Client, message_id: str) -> list[str]:
    """Return what can be done about the failures now."""
    lines = [f"redrive failed {message_id} shows the recipients and the errors."]
    with suppress(RedriveError):  # the end of the message is more important than these hints
        resend = await client.resend(ResendRequest(message_id=message_id, validate_only=True))
        if resend.recipients_to_retry:
            lines.append(f"redrive resend {message_id} resends to {resend.recipients_to_retry:,} recipients.")
        lines += [advice for group in resend.skipped if (advice := cli_resend_advice(group.reason))]
    with suppress(RedriveError):
        lines += await _blocked_rounds(client, message_id)
    return lines


async def _blocked_rounds(client: Client, message_id: str) -> list[str]:
    """Return what prevents the automatic rounds that the message has left."""
    message = await client.get_message(message_id)
    policy = message.retry_policy
    if policy.type == RetryType.RETRY_TYPE_MANUAL or message.retry_count >= policy.max_retry_attempts:
        return []
    if message.HasField("page_hold"):
        return [f"No automatic round starts while page {message.page_id} is on hold."]
    is_by_timer = policy.type == RetryType.RETRY_TYPE_CRON and policy.WhichOneof("schedule") is None
    if is_by_timer and not (await client.get_retry_schedule()).HasField("next_run_time"):
        return ["The server's retry timer is off: redrive retry run starts the next round."]
    return []


@contextmanager
def _display(output: Output) -> Iterator[Callable[[WatchProgressResponse], None]]:
    """Yield a function that shows a response: JSON lines, a live bar on a terminal, or a line for each change."""
    if output.as_json:
        yield output.print_json_line
    elif output.console.is_terminal:
        columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}", markup=False)
        with LiveBar(*columns, console=output.console) as bar:
            task = bar.add_task("", total=None)

            halted = _LastText()

            def move(response: WatchProgressResponse) -> None:
                progress = response.progress
                if (why := _halt_reason(progress)) and halted.is_new(why):
                    bar.console.print(
                        shown(why), markup=False
                    )  # in full: the bar's line is cut at the terminal's width
                ended = progress.counts.total - _open(progress)
                bar.update(task, total=progress.counts.total, completed=ended, description=shown(_line(progress)))

            yield move
    else:
        yield _ProgressLines(output).show


class _LastText:
    """Remembers the last text, to show each only once."""

    def __init__(self) -> None:
        self._last = ""

    def is_new(self, text: str) -> bool:
        """Return whether the text differs from the last one, and remember it."""
        last, self._last = self._last, text
        return text != last


class _ProgressLines:
    """Prints a line for each response that changes it."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._changes = _LastText()

    def show(self, response: WatchProgressResponse) -> None:
        line = _line(response.progress)
        if self._changes.is_new(line):
            self._output.print_text(line)


def _line(progress: Progress) -> str:
    counts = progress.counts
    parts = [
        f"{enum_name(MessageStatus, progress.status)}: {counts.sent:,} of {counts.total:,} sent",
        f"{counts.failed:,} failed",
        f"{counts.unconfirmed:,} unconfirmed",
        f"{_open(progress):,} pending",
    ]
    if counts.cancelled:
        parts.append(f"{counts.cancelled:,} cancelled")
    if progress.status == MessageStatus.MESSAGE_STATUS_CANCELLED:
        return ", ".join(parts)  # sending ends soon: no rate, no time left
    if halted := _halt_reason(progress):
        return ", ".join([*parts, halted])
    if progress.messages_per_second and _open(progress):
        parts.append(f"{progress.messages_per_second:,.1f}/s")
    if progress.HasField("eta"):
        parts.append(f"{progress.eta.ToTimedelta().total_seconds():,.0f} s left")
    if progress.HasField("next_retry_time"):
        parts.append(f"next retry {format_time(progress.next_retry_time)}")
    if progress.automatic_rounds_suspended:
        parts.append("automatic rounds suspended")
    return ", ".join(parts)


def _halt_reason(progress: Progress) -> str:
    """Return why nothing of the message is sent; empty while it is sent."""
    if progress.HasField("stop"):
        return f"stopped: {stop_cause_text(progress.stop)}. {stop_remedy(progress.stop)}"
    if progress.HasField("page_hold"):
        return f"page on hold: {progress.page_hold.reason or 'no reason given'}. {hold_remedy(progress.page_hold)}"
    return f"page paused {pause_text(progress.page_pause)}" if progress.HasField("page_pause") else ""


def _open(progress: Progress) -> int:
    return progress.counts.pending + progress.counts.sending


def _exit_code(progress: Progress) -> ExitCode:
    if progress.status == MessageStatus.MESSAGE_STATUS_CANCELLED:
        return ExitCode.ENDED_CANCELLED
    if progress.counts.failed or progress.counts.unconfirmed:
        return ExitCode.ENDED_WITH_FAILURES
    return ExitCode.OK
