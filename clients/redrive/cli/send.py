"""`redrive send`: one message to many people."""

import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.content_options import ContentFileOption, TextOption, content_of
from redrive.cli.content_strings import preview, strings_of
from redrive.cli.exits import RefusedInput
from redrive.cli.message_text import lacks, required_by, variables_of
from redrive.cli.messages import render_message
from redrive.cli.past_times import confirm_past_time
from redrive.cli.retry_options import Backoff, Interval, Jitter, Maximum, Multiplier, growth, with_schedule
from redrive.cli.time_options import time_option
from redrive.cli.watch import NoWait, follow
from redrive.cli.words import enum_option
from redrive.client import Client
from redrive.csv_columns import ID_COLUMNS
from redrive.errors import DeadlineExceeded, Unavailable
from redrive.recipients_csv import BadCsv, RecipientsCsv
from redrive.send_any import send_any
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, SendResponse, SendStreamResponse, StopPolicy
from redrive.v1.message_pb2 import OnUnconfirmed, RetryPolicy, RetryType

Sendable = list[Recipient] | RecipientsCsv


async def send(
    session: Session,
    page: Annotated[str, typer.Option(show_default=False, help="The page that sends.")],
    text: TextOption = "",
    content_file: ContentFileOption = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            metavar="FILE",
            help="Recipients: a header row with id (or recipient_id), perhaps name; all other columns are variables. "
            "- reads standard input.",
        ),
    ] = None,
    recipient: Annotated[list[str] | None, typer.Option(help="A recipient's id; repeatable. Instead of --csv.")] = None,
    title: Annotated[str, typer.Option(show_default=False, help="For people.")] = "",
    retry: Annotated[
        str, enum_option(RetryType, text="Resend failures when asked, right after a round, or by the timer.")
    ] = "manual",
    max_retries: Annotated[
        int | None, typer.Option(min=1, max=10, help="Retries after the first attempt; 3 if not given.")
    ] = None,
    retry_interval: Interval = None,
    retry_backoff: Backoff = None,
    retry_multiplier: Multiplier = None,
    retry_maximum: Maximum = None,
    retry_jitter: Jitter = None,
    schedule_time: Annotated[
        datetime | None, time_option("--schedule-time", text="Not before, like 2026-12-24T18:00; else at once.")
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Without asking, also if the schedule time has passed: then it is sent at once."),
    ] = False,
    stop_share: Annotated[
        float, typer.Option("--stop-share", min=0, max=1, help="Stop when this share of attempts failed; 0 means all.")
    ] = 0,
    stop_after: Annotated[int, typer.Option("--stop-after", min=0, help="From so many attempts on; 0 means 100.")] = 0,
    on_unconfirmed: Annotated[
        str, enum_option(OnUnconfirmed, text="Whom the message may have reached: wait, or resend and risk it twice.")
    ] = "hold",
    request_id: Annotated[
        str, typer.Option(show_default=False, help="Makes a repeated command safe: the same id sends once.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Checks everything, shows what the first person gets, sends nothing.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Then follows the message, as redrive watch does.")] = False,
    no_wait_for_retries: NoWait = False,
) -> None:
    """Sends a message to the recipients of a CSV file, or to those named.

    The whole file is checked first: a bad row names its line and column, and nothing is sent. A schedule time without
    an offset is a time of this machine's zone (TZ). One that passed more than a minute ago is asked about; where no
    person can be asked, it is refused unless --yes is given.
    """
    policy = RetryPolicy(type=RetryType.Value(retry), max_retry_attempts=max_retries or 0)
    waits = growth(retry_multiplier, retry_maximum, retry_jitter)
    content = _content(text, content_file)
    recipients = _recipients(csv, recipient, content)
    if isinstance(recipients, RecipientsCsv) and not session.output.as_json:
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
    answer = await _sent(session.client, header, recipients)
    session.output.show(answer, _render, one_line=watch)
    if dry_run:
        first = next(iter(recipients))
        session.output.say("\n".join(preview(content, first)))
        for name, count in _defaults_used(content, recipients).items():
            session.output.say(f"{count:,} without {name}: they get the default.")
    elif watch:
        await follow(session, answer.message.id, wait_for_retries=not no_wait_for_retries)


def _stop_policy(share: float, attempts: int) -> StopPolicy | None:
    """Return the policy that the options ask for; None leaves the service its default."""
    return StopPolicy(max_failure_share=share, min_attempts=attempts) if share or attempts else None


def _content(text: str, path: Path | None) -> Content:
    content = content_of(text, path)
    if content is None:
        raise typer.BadParameter("Give what to send with --text, or with --content-file.")
    return content


def _recipients(path: Path | None, ids: list[str] | None, content: Content) -> Sendable:
    if (path is None) == (not ids):
        raise typer.BadParameter("Give the recipients with --csv, or with --recipient.")
    if path is None:
        return [Recipient(id=recipient_id) for recipient_id in ids or ()]
    is_stdin = str(path) == "-"
    if not is_stdin and not path.exists():  # typer's own check knows no standard input
        raise typer.BadParameter(f"file {str(path)!r} does not exist.", param_hint="--csv")
    try:
        recipients = RecipientsCsv(typer.get_binary_stream("stdin") if is_stdin else path)
    except BadCsv as error:
        raise RefusedInput(f"Nothing was sent. {error}") from error
    missing = [name for name in required_by(*strings_of(content).values()) if name not in recipients.variables]
    if missing:
        raise RefusedInput(f"Nothing was sent. {_no_column(Path(recipients.name).name, missing, recipients.variables)}")
    return recipients


def _defaults_used(content: Content, recipients: Sendable) -> dict[str, int]:
    """Return how many recipients lack each variable for which the content has a default."""
    strings = strings_of(content).values()
    required = required_by(*strings)
    names = [name for name in variables_of(*strings) if name not in required]
    counts = Counter(name for one in recipients for name in names if lacks(one, name)) if names else Counter[str]()
    return {name: counts[name] for name in names if counts[name]}


def _no_column(name: str, missing: list[str], there: list[str]) -> str:
    ids = " (its ids are no part of a text)" if any(name in ID_COLUMNS for name in missing) else ""
    has = ", ".join(there) or "no column but the ids"
    return f"{name} has no column {', '.join(missing)}{ids}; it has {has}."


async def _sent(client: Client, header: SendRequest, recipients: Sendable) -> SendResponse | SendStreamResponse:
    try:
        return await send_any(client, header, recipients)
    except BadCsv as error:  # the file has changed since it was checked
        raise RefusedInput(str(error)) from error
    except (Unavailable, DeadlineExceeded) as error:
        error.add_note(f"The same with --request-id {header.request_id} sends it once, even if this one did arrive.")
        raise


def _render(answer: SendResponse | SendStreamResponse) -> Iterator[RenderableType]:
    yield from render_message(answer.message)
    if answer.duplicates_dropped:
        yield Text(f"Duplicates dropped: {answer.duplicates_dropped:,}. Of equal recipients the first was kept.")
