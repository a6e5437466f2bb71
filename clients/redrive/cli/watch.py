"""`redrive watch`: follows a message until it is done."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as LiveBar

from redrive.cli.command import Session
from redrive.cli.exits import ExitCode
from redrive.cli.messages import MessageId, suspension
from redrive.cli.output import Output, local_time
from redrive.cli.page_pause import until_and_why
from redrive.cli.skip_reasons import way_on
from redrive.cli.words import word
from redrive.client import Client
from redrive.errors import RedriveError
from redrive.halt_text import cause_of, remedy_for, remedy_for_hold
from redrive.v1.delivery_service_pb2 import ResendRequest, WatchProgressResponse
from redrive.v1.message_pb2 import MessageStatus, RetryType
from redrive.v1.progress_pb2 import Progress
from redrive.visible_text import shown

_WITH_FAILURES = {ExitCode.ENDED_WITH_FAILURES, ExitCode.RETRY_IS_DUE}


NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait-for-retries",
        help="End when nothing is pending, even if an automatic round is due later (exit code 12).",
    ),
]


async def watch_message(session: Session, message_id: MessageId, no_wait_for_retries: NoWait = False) -> None:
    """Follows a message until it is done and no automatic retry is due.

    Between two rounds it shows when the next one is due. It ends if the page is put on hold, because nothing is
    retried then; a paused message is waited for. Ctrl-C ends the watch, not the message.

    Exit code 10: failed or unconfirmed recipients are left; 11: cancelled; 12: an automatic retry is due later
    (with --no-wait-for-retries).
    """
    await follow(session, message_id, wait_for_retries=not no_wait_for_retries)


async def follow(session: Session, message_id: str, *, wait_for_retries: bool) -> None:
    """Shows each change; ends the command with the code that says how the message ended."""
    progress = Progress()
    try:
        with _display(session.output) as show:
            async for answer in session.client.watch_progress(message_id, wait_for_retries=wait_for_retries):
                progress = answer.progress
                show(answer)
    except asyncio.CancelledError:
        _say_what_is_known(session.output, message_id, progress)
        raise
    retry_is_due = not wait_for_retries and await _retry_is_due(session.client, message_id, progress)
    code = ExitCode.RETRY_IS_DUE if retry_is_due else _exit_code(progress)
    if code in _WITH_FAILURES and not session.output.as_json:
        for line in await _ways_on(session.client, message_id):
            session.output.say(line)
        if progress.automatic_rounds_suspended:
            session.output.say(f"Suspended: {suspension(message_id)}.")
    if code is not ExitCode.OK:
        raise typer.Exit(code)


async def _retry_is_due(client: Client, message_id: str, progress: Progress) -> bool:
    """Return whether an automatic round is due that has recipients to retry."""
    if not progress.HasField("next_retry_time"):
        return False
    return (await client.list_failed(message_id, retryable_only=True, page_size=1).page()).retryable_count > 0


def _say_what_is_known(output: Output, message_id: str, progress: Progress) -> None:
    """Print the last progress after Ctrl-C."""
    if progress.HasField("counts"):
        output.say(f"Interrupted. {_line(progress)}")
    state = "stays stopped" if progress.HasField("stop") else "goes on"
    output.say(f"The message {state}; redrive watch {message_id} shows it again.")


async def _ways_on(client: Client, message_id: str) -> list[str]:
    """What can be done about the failures, as a resend sees them now."""
    lines = [f"redrive failed {message_id} shows whom and why."]
    with suppress(RedriveError):  # how the message ended is known, and more important than what can be done
        resend = await client.resend(ResendRequest(message_id=message_id, validate_only=True))
        if resend.recipients_to_retry:
            lines.append(f"redrive resend {message_id} resends to {resend.recipients_to_retry:,}.")
        lines += [way for group in resend.skipped if (way := way_on(group.reason))]
    with suppress(RedriveError):
        lines += await _why_no_retry(client, message_id)
    return lines


async def _why_no_retry(client: Client, message_id: str) -> list[str]:
    """Return what keeps automatic rounds from starting although the message has some left."""
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
    """What shows one answer: a line of JSON, a live bar on a terminal, else a line of text for each change."""
    if output.as_json:
        yield output.json_line
    elif output.console.is_terminal:
        columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}", markup=False)
        with LiveBar(*columns, console=output.console) as bar:
            task = bar.add_task("", total=None)

            halted = _Changes()

            def move(answer: WatchProgressResponse) -> None:
                progress = answer.progress
                if (why := _why_halted(progress)) and halted.is_new(why):
                    bar.console.print(
                        shown(why), markup=False
                    )  # whole: the bar's own line is cut at the terminal's width
                ended = progress.counts.total - _open(progress)
                bar.update(task, total=progress.counts.total, completed=ended, description=shown(_line(progress)))

            yield move
    else:
        yield _Lines(output).show


class _Changes:
    """Remembers the last text, so that each is shown once."""

    def __init__(self) -> None:
        self._last = ""

    def is_new(self, text: str) -> bool:
        """Return whether a text differs from the one before, and remember it."""
        last, self._last = self._last, text
        return text != last


class _Lines:
    """Prints a line for each answer that says something new."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._changes = _Changes()

    def show(self, answer: WatchProgressResponse) -> None:
        line = _line(answer.progress)
        if self._changes.is_new(line):
            self._output.say(line)


def _line(progress: Progress) -> str:
    counts = progress.counts
    parts = [
        f"{word(MessageStatus, progress.status)}: {counts.sent:,} of {counts.total:,} sent",
        f"{counts.failed:,} failed",
        f"{counts.unconfirmed:,} unconfirmed",
        f"{_open(progress):,} pending",
    ]
    if counts.cancelled:
        parts.append(f"{counts.cancelled:,} cancelled")
    if progress.status == MessageStatus.MESSAGE_STATUS_CANCELLED:
        return ", ".join(parts)  # what is still on its way ends at once: no pace, no time left
    if halted := _why_halted(progress):
        return ", ".join([*parts, halted])
    if progress.messages_per_second and _open(progress):
        parts.append(f"{progress.messages_per_second:,.1f}/s")
    if progress.HasField("eta"):
        parts.append(f"{progress.eta.ToTimedelta().total_seconds():,.0f} s left")
    if progress.HasField("next_retry_time"):
        parts.append(f"next retry {local_time(progress.next_retry_time)}")
    if progress.automatic_rounds_suspended:
        parts.append("automatic rounds suspended")
    return ", ".join(parts)


def _why_halted(progress: Progress) -> str:
    """Return why nothing of the message leaves; empty while it is sent."""
    if progress.HasField("stop"):
        return f"stopped: {cause_of(progress.stop)}. {remedy_for(progress.stop)}"
    if progress.HasField("page_hold"):
        return f"page on hold: {progress.page_hold.reason or 'by hand'}. {remedy_for_hold(progress.page_hold)}"
    return f"page paused {until_and_why(progress.page_pause)}" if progress.HasField("page_pause") else ""


def _open(progress: Progress) -> int:
    return progress.counts.pending + progress.counts.sending


def _exit_code(progress: Progress) -> ExitCode:
    if progress.status == MessageStatus.MESSAGE_STATUS_CANCELLED:
        return ExitCode.ENDED_CANCELLED
    if progress.counts.failed or progress.counts.unconfirmed:
        return ExitCode.ENDED_WITH_FAILURES
    return ExitCode.OK
