"""`redrive failures`: the failures of many messages, summed up."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType

from redrive.cli.command import Session
from redrive.cli.failed import error_code
from redrive.cli.lists import Limit, show_list
from redrive.cli.output import local_time, table
from redrive.cli.words import word
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.report_service_pb2 import ErrorTypeFailures, MessageFailures, SummarizeFailuresResponse

_COLUMNS = (
    *("message", "title", "error type", "failed or unconfirmed", "first", "last", "next retry"),
    *("code", "error of the last"),
)


async def summarize_failures(
    session: Session,
    message_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[MESSAGE_ID]...", show_default=False, help="Only these messages.")
    ] = None,
    page: Annotated[str, typer.Option(help="Only this page's.", show_default=False)] = "",
    limit: Limit = None,
) -> None:
    """Messages with failed or unconfirmed recipients, newest first, with counts by error type."""
    listing = session.client.summarize_failures(message_ids=message_ids or (), page_id=page)
    await show_list(session.output, listing, _render, limit)


def _render(answer: SummarizeFailuresResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, (_row(message, failures) for message in answer.messages for failures in message.error_types))


def _row(message: MessageFailures, failures: ErrorTypeFailures) -> tuple[object, ...]:
    error = failures.sample_error
    return (
        message.message_id,
        message.title,
        word(ErrorType, failures.error_type),
        failures.count,
        local_time(failures.first_time),
        local_time(failures.last_time),
        local_time(message.next_retry_time),
        error_code(error.code, error.subcode),
        error.message,
    )
