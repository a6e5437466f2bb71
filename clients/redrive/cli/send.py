"""The command `redrive send`."""

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import CommandContext
from redrive.cli.content import ContentFileOption, TextOption, content_from_options, content_strings, preview
from redrive.cli.enums import enum_option
from redrive.cli.exit_codes import InvalidInput
from redrive.cli.messages import render_message
from redrive.cli.pages import is_terminal
from redrive.cli.retry_options import Backoff, Interval, Jitter, Maximum, Multiplier, backoff_growth, with_schedule
from redrive.cli.time_options import time_option
from redrive.cli.watch import NoWaitOption, follow
from redrive.client import Client
from redrive.errors import DeadlineExceeded, Unavailable
from redrive.recipients_csv import BadCsv, RecipientsCsv
from redrive.recipients_csv.columns import ID_COLUMNS
from redrive.send_any import send_any
from redrive.texts.message_text import lacks, required_by, variables_of
from redrive.times import time_since
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, SendResponse, SendStreamResponse, StopPolicy
from redrive.v1.message_pb2 import OnUnconfirmed, RetryPolicy, RetryType

RecipientList = list[Recipient] | RecipientsCsv


async def send(
    ctx: CommandContext,
    page: Annotated[str, typer.Option(show_default=False, help="The page that sends.")],
    text: TextOption = "",
    content_file: ContentFileOption = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            metavar="FILE",
            help="Recipients: a header row with id (or recipient_id), optionally name; other columns are variables. "
            "- is standard input.",
        ),
    ] = None,
    recipient: Annotated[list[str] | None, typer.Option(help="A recipient's id; repeatable. Instead of --csv.")] = None,
    title: Annotated[str, typer.Option(show_default=False, help="A title for display.")] = "",
    retry: Annotated[
        str, enum_option(RetryType, text="Retry failures on request, after each round, or by the retry timer.")
    ] = "manual",
    max_retries: Annotated[
        int | None, typer.Option(min=1, max=10, help="Retries after the first attempt; 3 by default.")
    ] = None,
    retry_interval: Interval = None,
    retry_backoff: Backoff = None,
    retry_multiplier: Multiplier = None,
    retry_maximum: Maximum = None,
    retry_jitter: Jitter = None,
    schedule_time: Annotated[
        datetime | None,
        time_option("--schedule-time", text="Send at this time, like 2026-12-24T18:00; by default at once."),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do not ask for confirmation: a schedule time that has passed means at once."),
    ] = False,
    stop_share: Annotated[
        float,
        typer.Option(
            "--stop-share", min=0, max=1, help="Stop when this share of attempts failed; 0 means all of them."
        ),
    ] = 0,
    stop_after: Annotated[
        int, typer.Option("--stop-after", min=0, help="Apply the stop share after this many attempts; 0 means 100.")
    ] = 0,
    on_unconfirmed: Annotated[
        str, enum_option(OnUnconfirmed, text="Unconfirmed recipients: hold them, or resend, which may deliver twice.")
    ] = "hold",
    request_id: Annotated[
        str, typer.Option(show_default=False, help="Makes the command safe to repeat: the same id sends once.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, show the message of the first recipient, send nothing.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Then watch the message, like redrive watch.")] = False,
    no_wait_for_retries: NoWaitOption = False,
) -> None:
    """Send a message to the recipients of a CSV file, or to the named ones.

    The whole file is checked first: a wrong row is named by line and column, and nothing is sent. A schedule time
    without an offset is in this machine's time zone (TZ). If it passed more than a minute ago, a terminal asks for
    confirmation; without a terminal the command refuses it, unless --yes is given.
    """
    policy = RetryPolicy(type=RetryType.Value(retry), max_retry_attempts=max_retries or 0)
    waits = backoff_growth(retry_multiplier, retry_maximum, retry_jitter)
    content = _content(text, content_file)
    recipients = _recipients(csv, recipient, content)
    if isinstance(recipients, RecipientsCsv) and not ctx.output.as_json:
        for note in recipients.notes:
            typer.echo(f"Note: {note}", err=True)
    header = SendRequest(
        request_id=request_id or str(uuid.uuid4()),
        page_id=page,
        title=title,
        content=content,
        retry_policy=with_schedule(policy, retry_interval, retry_backoff, waits),
        on_unconfirmed=OnUnconfirmed.Value(on_unconfirmed),
        validate_only=dry_run,
        stop_policy=_stop_policy(stop_share, stop_after),
    )
    if schedule_time is not None:
        confirm_past_time(schedule_time, yes=yes, only_warn=dry_run)
        header.schedule_time.FromDatetime(schedule_time)
    response = await _send(ctx.client, header, recipients)
    ctx.output.show(response, _render, one_line=watch)
    if dry_run:
        first = next(iter(recipients))
        ctx.output.print_text("\n".join(preview(content, first)))
        for name, count in _defaults_used(content, recipients).items():
            ctx.output.print_text(f"{count:,} without {name}: the default is used.")
    elif watch:
        await follow(ctx, response.message.id, wait_for_retries=not no_wait_for_retries)


def _stop_policy(share: float, attempts: int) -> StopPolicy | None:
    """Return the policy that the options ask for; None for the server's default."""
    return StopPolicy(max_failure_share=share, min_attempts=attempts) if share or attempts else None


def _content(text: str, path: Path | None) -> Content:
    content = content_from_options(text, path)
    if content is None:
        raise typer.BadParameter("Give the content with --text or --content-file.")
    return content


def _recipients(path: Path | None, ids: list[str] | None, content: Content) -> RecipientList:
    if (path is None) == (not ids):
        raise typer.BadParameter("Give the recipients with --csv or --recipient.")
    if path is None:
        return [Recipient(id=recipient_id) for recipient_id in ids or ()]
    is_stdin = str(path) == "-"
    if not is_stdin and not path.exists():  # typer's check does not know standard input
        raise typer.BadParameter(f"file {str(path)!r} does not exist.", param_hint="--csv")
    try:
        recipients = RecipientsCsv(typer.get_binary_stream("stdin") if is_stdin else path)
    except BadCsv as error:
        raise InvalidInput(f"Nothing was sent. {error}") from error
    missing = [name for name in required_by(*content_strings(content).values()) if name not in recipients.variables]
    if missing:
        raise InvalidInput(f"Nothing was sent. {_no_column(Path(recipients.name).name, missing, recipients.variables)}")
    return recipients


def _defaults_used(content: Content, recipients: RecipientList) -> dict[str, int]:
    """Return how many recipients lack each variable that has a default in the content."""
    strings = content_strings(content).values()
    required = required_by(*strings)
    names = [name for name in variables_of(*strings) if name not in required]
    counts = Counter(name for one in recipients for name in names if lacks(one, name)) if names else Counter[str]()
    return {name: counts[name] for name in names if counts[name]}


def _no_column(name: str, missing: list[str], there: list[str]) -> str:
    ids = " (ids cannot be used in a text)" if any(name in ID_COLUMNS for name in missing) else ""
    has = ", ".join(there) or "no column except the ids"
    return f"{name} has no column {', '.join(missing)}{ids}; it has {has}."


async def _send(client: Client, header: SendRequest, recipients: RecipientList) -> SendResponse | SendStreamResponse:
    try:
        return await send_any(client, header, recipients)
    except BadCsv as error:  # the file has changed since it was checked
        raise InvalidInput(str(error)) from error
    except (Unavailable, DeadlineExceeded) as error:
        error.add_note(
            f"Repeat the command with --request-id {header.request_id}: it sends once, even if this attempt arrived."
        )
        raise


def _render(response: SendResponse | SendStreamResponse) -> Iterator[RenderableType]:
    yield from render_message(response.message)
    if response.duplicates_dropped:
        yield Text(f"Duplicates dropped: {response.duplicates_dropped:,}. The first row of each id was kept.")


def confirm_past_time(time: datetime, *, yes: bool, only_warn: bool) -> None:
    """Warn of a schedule time more than a minute ago, and ask for confirmation.

    With `yes` or `only_warn` (a dry run) it only warns. Raises InvalidInput if there is no terminal, and Abort for the
    answer no.
    """
    ago = time_since(time, datetime.now(UTC))
    if ago is None:
        return
    warning = f"--schedule-time {time.isoformat()} was {_age_text(ago)} ago: the message is sent at once."
    if not yes and not only_warn and not is_terminal():
        raise InvalidInput(f"Nothing was sent. {warning} Give --yes to confirm, or another time.")
    typer.echo(f"Warning: {warning}", err=True)
    if not yes and not only_warn:
        typer.confirm("Send it now?", abort=True, err=True)


def _age_text(ago: timedelta) -> str:
    minutes = int(ago.total_seconds() // 60)
    for unit, size in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        if minutes >= size:
            count = minutes // size
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "a moment"
