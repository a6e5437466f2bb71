"""`redrive export`: attempts or recipients as a file."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from redrive.cli.command import Session
from redrive.cli.failed import ErrorTypes
from redrive.cli.subject import MaybeMessageId, PageId, check_subject
from redrive.cli.words import enum_option
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportFormat, ExportRows


class FileFormat(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSONL = "jsonl"


_FORMATS = {
    FileFormat.CSV: ExportFormat.EXPORT_FORMAT_CSV,
    FileFormat.JSONL: ExportFormat.EXPORT_FORMAT_JSON_LINES,
}


async def export(
    session: Session,
    message_id: MaybeMessageId = None,
    page: PageId = None,
    recipient: Annotated[str, typer.Option(help="Only this recipient's.", show_default=False)] = "",
    status: Annotated[list[str] | None, enum_option(DeliveryStatus, text="Only this status; repeatable.")] = None,
    error_type: ErrorTypes = None,
    per_recipient: Annotated[
        bool, typer.Option("--per-recipient", help="A row for each recipient, as the latest attempt left it.")
    ] = False,
    form: Annotated[
        FileFormat | None, typer.Option("--format", show_default=False, help="CSV, unless answers are shown in JSON.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", dir_okay=False, show_default=False, help="Where to; else standard output."),
    ] = None,
) -> None:
    """Every attempt of a message or of a page as a file, or every recipient; whole only with exit code 0."""
    check_subject(message_id, page)
    wanted = form or (FileFormat.JSONL if session.output.as_json else FileFormat.CSV)
    request = ExportDeliveriesRequest(
        recipient_id=recipient,
        statuses=map(DeliveryStatus.Value, status or ()),
        error_types=map(ErrorType.Value, error_type or ()),
        rows=ExportRows.EXPORT_ROWS_RECIPIENTS if per_recipient else ExportRows.EXPORT_ROWS_ATTEMPTS,
        format=_FORMATS[wanted],
    )
    if message_id:
        request.message_id = message_id
    if page:
        request.page_id = page
    async with aclosing(session.client.export_deliveries(request)) as parts:
        await (_print(parts) if file is None else _save(parts, file))


async def _print(parts: AsyncIterator[bytes]) -> None:
    stdout = typer.get_binary_stream("stdout")
    async for part in parts:
        stdout.write(part)
    stdout.flush()


async def _save(parts: AsyncIterator[bytes], file: Path) -> None:
    """Under another name until it is whole."""
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
