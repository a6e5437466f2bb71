"""The commands `redrive report`, `redrive failures` and `redrive export`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import CommandContext
from redrive.cli.deliveries import ErrorTypes
from redrive.cli.enums import enum_name, enum_option
from redrive.cli.lists import Limit, show_list
from redrive.cli.output import format_time, key_value_table, table
from redrive.cli.time_options import time_option
from redrive.texts.errors import error_code
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.report_service_pb2 import (
    CommonError,
    ErrorTypeFailures,
    ExportDeliveriesRequest,
    ExportFormat,
    ExportRows,
    FirstAttempts,
    GetDeliveryReportResponse,
    MessageFailures,
    MessageReport,
    SummarizeFailuresResponse,
)

_HOURS = 48  # hours that a table shows

OptionalMessageId = Annotated[
    str | None, typer.Argument(metavar="MESSAGE_ID", show_default=False, help="This message; or give --page.")
]
OptionalPageId = Annotated[str | None, typer.Option("--page", show_default=False, help="All messages of this page.")]


def check_subject(message_id: str | None, page: str | None) -> None:
    """Raise BadParameter unless exactly one of the two is given."""
    if bool(message_id) == bool(page):
        raise typer.BadParameter("Give either a message id, or a page with --page.")


async def report(
    ctx: CommandContext,
    message_id: OptionalMessageId = None,
    page: OptionalPageId = None,
    since: Annotated[
        datetime | None, time_option("--from", text="Only outcomes from this time on, in whole hours.")
    ] = None,
    until: Annotated[
        datetime | None, time_option("--until", text="Only outcomes before this time, in whole hours.")
    ] = None,
    limit: Limit = None,
) -> None:
    """Report attempts: success at the first attempt, most common errors, results of retries, outcomes by hour."""
    check_subject(message_id, page)
    listing = ctx.client.get_delivery_report(
        message_id=message_id or "", page_id=page or "", start_time=since, end_time=until
    )
    await show_list(ctx.output, listing, _render_report, limit)


def _render_report(response: GetDeliveryReportResponse) -> Iterator[RenderableType]:
    yield key_value_table([("sent at the first attempt", _share(response.first_attempts))])
    yield table(
        ("attempt", "made", "sent", "failed", "unconfirmed"),
        ((one.attempt_number, one.made, one.sent, one.failed, one.unconfirmed) for one in response.attempts),
    )
    yield table(("error type", "code", "error", "attempts", "of all failures"), map(_error_row, response.errors))
    yield table(
        ("hour", "sent", "failed", "unconfirmed"),
        ((format_time(hour.start_time), hour.sent, hour.failed, hour.unconfirmed) for hour in response.hours[-_HOURS:]),
    )
    if len(response.hours) > _HOURS:
        yield Text(f"The last {_HOURS} of {len(response.hours):,} hours; -o json has all.")
    yield table(("message", "title", "created", "sent at the first attempt"), map(_message_row, response.messages))
    if response.HasField("counted_from_time"):
        yield Text(
            f"Outcomes recorded before {format_time(response.counted_from_time)} by an older release may be missing: "
            "`redrive-server rebuild` counts them."
        )


def _error_row(error: CommonError) -> tuple[object, ...]:
    return (
        enum_name(ErrorType, error.error.type),
        error_code(error.error.code, error.error.subcode),
        error.error.message,
        error.count,
        f"{error.percentage:.1f} %",
    )


def _message_row(report: MessageReport) -> tuple[object, ...]:
    return report.message_id, report.title, format_time(report.create_time), _share(report.first_attempts)


def _share(first: FirstAttempts) -> str:
    if not first.attempted:
        return "no attempt yet"
    return f"{first.sent:,} of {first.attempted:,} ({100 * first.success_rate:.1f} %)"


_FAILURE_COLUMNS = (
    *("message", "title", "error type", "failed or unconfirmed", "first", "last", "next retry"),
    *("code", "last error"),
)


async def summarize_failures(
    ctx: CommandContext,
    message_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[MESSAGE_ID]...", show_default=False, help="Only these messages.")
    ] = None,
    page: Annotated[str, typer.Option(help="Only this page.", show_default=False)] = "",
    limit: Limit = None,
) -> None:
    """List messages with failed or unconfirmed recipients, newest first, with counts by error type."""
    listing = ctx.client.summarize_failures(message_ids=message_ids or (), page_id=page)
    await show_list(ctx.output, listing, _render_failures, limit)


def _render_failures(response: SummarizeFailuresResponse) -> Iterator[RenderableType]:
    yield table(
        _FAILURE_COLUMNS,
        (_failure_row(message, failures) for message in response.messages for failures in message.error_types),
    )


def _failure_row(message: MessageFailures, failures: ErrorTypeFailures) -> tuple[object, ...]:
    error = failures.sample_error
    return (
        message.message_id,
        message.title,
        enum_name(ErrorType, failures.error_type),
        failures.count,
        format_time(failures.first_time),
        format_time(failures.last_time),
        format_time(message.next_retry_time),
        error_code(error.code, error.subcode),
        error.message,
    )


class FileFormat(StrEnum):
    """The format of an exported file."""

    CSV = "csv"
    JSONL = "jsonl"


_FORMATS = {
    FileFormat.CSV: ExportFormat.EXPORT_FORMAT_CSV,
    FileFormat.JSONL: ExportFormat.EXPORT_FORMAT_JSON_LINES,
}


async def export(
    ctx: CommandContext,
    message_id: OptionalMessageId = None,
    page: OptionalPageId = None,
    recipient: Annotated[str, typer.Option(help="Only this recipient.", show_default=False)] = "",
    status: Annotated[list[str] | None, enum_option(DeliveryStatus, text="Only this status; repeatable.")] = None,
    error_type: ErrorTypes = None,
    per_recipient: Annotated[
        bool, typer.Option("--per-recipient", help="One row per recipient, with its latest attempt.")
    ] = False,
    form: Annotated[
        FileFormat | None, typer.Option("--format", show_default=False, help="csv by default; jsonl with -o json.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", dir_okay=False, show_default=False, help="The file; standard output if not given."
        ),
    ] = None,
) -> None:
    """Export every attempt, or every recipient, of a message or a page; the file is complete only with exit code 0."""
    check_subject(message_id, page)
    file_format = form or (FileFormat.JSONL if ctx.output.as_json else FileFormat.CSV)
    request = ExportDeliveriesRequest(
        recipient_id=recipient,
        statuses=map(DeliveryStatus.Value, status or ()),
        error_types=map(ErrorType.Value, error_type or ()),
        rows=ExportRows.EXPORT_ROWS_RECIPIENTS if per_recipient else ExportRows.EXPORT_ROWS_ATTEMPTS,
        format=_FORMATS[file_format],
    )
    if message_id:
        request.message_id = message_id
    if page:
        request.page_id = page
    async with aclosing(ctx.client.export_deliveries(request)) as parts:
        await (_print(parts) if file is None else _save(parts, file))


async def _print(parts: AsyncIterator[bytes]) -> None:
    stdout = typer.get_binary_stream("stdout")
    async for part in parts:
        stdout.write(part)
    stdout.flush()


async def _save(parts: AsyncIterator[bytes], file: Path) -> None:
    """Write the file; it has another name until it is complete."""
    unfinished = file.with_name(f"{file.name}.part")
    try:
        with unfinished.open("wb") as written:
            async for part in parts:
                written.write(part)
        unfinished.replace(file)
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="--file") from error
    finally:
        unfinished.unlink(missing_ok=True)
