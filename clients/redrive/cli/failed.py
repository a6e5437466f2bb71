"""`redrive failed`: who was not reached, and why."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import Session
from redrive.cli.lists import Limit, show_list
from redrive.cli.messages import AsOf, MessageId
from redrive.cli.output import local_time, table
from redrive.cli.skip_reasons import REASONS, way_on, why_not
from redrive.cli.words import enum_option, word
from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.delivery_service_pb2 import ListFailedResponse, SkipReason
from redrive.v1.error_pb2 import ErrorType

ErrorTypes = Annotated[
    list[str] | None, enum_option(ErrorType, "--error-type", text="Only errors of this type; repeatable.")
]

_COLUMNS = (
    *("recipient", "name", "error type", "code", "error", "attempts", "retryable", "why not"),
    *("last attempt", "next retry"),
)


async def list_failed(
    session: Session,
    message_id: MessageId,
    error_type: ErrorTypes = None,
    retryable: Annotated[bool, typer.Option("--retryable", help="Only those whom a plain resend takes now.")] = False,
    as_of: AsOf = None,
    limit: Limit = None,
) -> None:
    """The recipients whose last attempt failed or is unconfirmed, counts by error type first."""
    listing = session.client.list_failed(
        message_id,
        error_types=map(ErrorType.Value, error_type or ()),
        retryable_only=retryable,
        as_of_time=as_of,
    )
    await show_list(session.output, listing, _render, limit)


def _render(answer: ListFailedResponse) -> Iterator[RenderableType]:
    counts = [(word(ErrorType, count.error_type), count.count) for count in answer.error_type_counts]
    yield table(("error type", "failed or unconfirmed"), counts)
    stats = answer.stats
    yield Text(
        f"Of {stats.total:,} recipients {stats.sent:,} were sent to, {stats.failed:,} failed and {stats.unconfirmed:,} "
        f"are unconfirmed. A plain resend takes {answer.retryable_count:,} now; "
        f"each has at most {answer.max_retry_attempts} retries."
    )
    if answer.sequence:
        yield Text(f"To resend to them as they stand here: --as-of-sequence {answer.sequence}.")
    reasons = [why_not(failed, answer.max_retry_attempts) for failed in answer.failed_recipients]
    yield table(_COLUMNS, map(_row, answer.failed_recipients, reasons))
    yield from (Text(way) for way in map(way_on, sorted(set(reasons))) if way)


def _row(failed: FailedRecipient, reason: SkipReason.ValueType) -> tuple[object, ...]:
    return (
        failed.recipient_id,
        failed.recipient_name,
        word(ErrorType, failed.last_error_type),
        error_code(failed.last_error_code, failed.last_error_subcode),
        failed.last_error_message,
        failed.attempt_count,
        failed.retryable,
        REASONS.get(reason, ""),
        local_time(failed.last_attempt_time),
        local_time(failed.next_retry_time),
    )


def error_code(code: int, subcode: int) -> str:
    """The platform's code, with its subcode where there is one; empty for a transport error."""
    if subcode:
        return f"{code}/{subcode}"
    return str(code) if code else ""
