"""`redrive watch`: follows a message until it is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as LiveBar

from redrive.cli.command import Session
from redrive.cli.exits import ExitCode
from redrive.cli.messages import MessageId
from redrive.cli.output import Output, local_time
from redrive.cli.skip_reasons import way_on
from redrive.cli.words import word
from redrive.client import Client
from redrive.errors import RedriveError
from redrive.v1.delivery_service_pb2 import ResendRequest, WatchProgressResponse
from redrive.v1.message_pb2 import MessageStatus
from redrive.v1.progress_pb2 import Progress


async def watch_message(session: Session, message_id: MessageId) -> None:
    """Follows a message until it is done. Exit code 10: failed or unconfirmed recipients are left; 11: cancelled."""
    await follow(session, message_id)


async def follow(session: Session, message_id: str) -> None:
    """Shows each change; ends the command with the code that says how the message ended."""
    progress = Progress()
    with _display(session.output) as show:
        async for answer in session.client.watch_progress(message_id):
            progress = answer.progress
            show(answer)
    code = _exit_code(progress)
    if code is ExitCode.ENDED_WITH_FAILURES and not session.output.as_json:
        for line in await _ways_on(session.client, message_id):
            session.output.say(line)
    if code is not ExitCode.OK:
        raise typer.Exit(code)


async def _ways_on(client: Client, message_id: str) -> list[str]:
    """What can be done about the failures, as a resend sees them now."""
    lines = [f"redrive failed {message_id} shows whom and why."]
    with suppress(RedriveError):  # how the message ended is known, and more important than what can be done
        resend = await client.resend(ResendRequest(message_id=message_id, validate_only=True))
        if resend.recipients_to_retry:
            lines.append(f"redrive resend {message_id} resends to {resend.recipients_to_retry:,}.")
        lines += [way for group in resend.skipped if (way := way_on(group.reason))]
    return lines


@contextmanager
def _display(output: Output) -> Iterator[Callable[[WatchProgressResponse], None]]:
    """What shows one answer: a line of JSON, a live bar on a terminal, else a line of text for each change."""
    if output.as_json:
        yield output.json_line
    elif output.console.is_terminal:
        columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.description}", markup=False)
        with LiveBar(*columns, console=output.console) as bar:
            task = bar.add_task("", total=None)

            def move(answer: WatchProgressResponse) -> None:
                progress = answer.progress
                ended = progress.counts.total - _open(progress)
                bar.update(task, total=progress.counts.total, completed=ended, description=_line(progress))

            yield move
    else:
        yield _Lines(output).show


class _Lines:
    """Prints a line for each answer that says something new."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last = ""

    def show(self, answer: WatchProgressResponse) -> None:
        line = _line(answer.progress)
        if line != self._last:
            self._output.say(line)
        self._last = line


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
    if progress.HasField("page_hold"):
        return ", ".join([*parts, f"page on hold: {progress.page_hold.reason or 'by hand'}"])
    if progress.messages_per_second:
        parts.append(f"{progress.messages_per_second:,.1f}/s")
    if progress.HasField("eta"):
        parts.append(f"{progress.eta.ToTimedelta().total_seconds():,.0f} s left")
    if progress.HasField("next_retry_time"):
        parts.append(f"next retry {local_time(progress.next_retry_time)}")
    return ", ".join(parts)


def _open(progress: Progress) -> int:
    return progress.counts.pending + progress.counts.sending


def _exit_code(progress: Progress) -> ExitCode:
    if progress.status == MessageStatus.MESSAGE_STATUS_CANCELLED:
        return ExitCode.ENDED_CANCELLED
    if progress.counts.failed or progress.counts.unconfirmed:
        return ExitCode.ENDED_WITH_FAILURES
    return ExitCode.OK
