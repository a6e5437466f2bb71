"""The commands `redrive failed`, `redrive deliveries` and `redrive batches`."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from redrive.cli.command import CommandContext
from redrive.cli.enums import enum_name, enum_option
from redrive.cli.lists import Limit, show_list
from redrive.cli.messages import AsOf, MessageId
from redrive.cli.output import format_time, table
from redrive.texts.errors import error_code
from redrive.texts.resends import cli_resend_advice, skip_reason_of, skip_text
from redrive.v1.batch_pb2 import Batch, BatchStatus
from redrive.v1.delivery_pb2 import Delivery, DeliveryStatus, FailedRecipient
from redrive.v1.delivery_service_pb2 import ListBatchesResponse, ListDeliveriesResponse, ListFailedResponse, SkipReason
from redrive.v1.error_pb2 import ErrorType

ErrorTypes = Annotated[
    list[str] | None, enum_option(ErrorType, "--error-type", text="Only errors of this type; repeatable.")
]

_FAILED_COLUMNS = (
    *("recipient", "name", "error type", "code", "error", "attempts", "retryable", "why not"),
    *("last attempt", "next retry"),
)


async def list_failed(
    ctx: CommandContext,
    message_id: MessageId,
    error_type: ErrorTypes = None,
    retryable: Annotated[
        bool, typer.Option("--retryable", help="Only recipients that a plain resend takes now.")
    ] = False,
    as_of: AsOf = None,
    limit: Limit = None,
) -> None:
    """List the recipients whose last attempt failed or is unconfirmed, with counts by error type."""
    listing = ctx.client.list_failed(
        message_id,
        error_types=map(ErrorType.Value, error_type or ()),
        retryable_only=retryable,
        as_of_time=as_of,
    )
    await show_list(ctx.output, listing, _render_failed, limit)


def _render_failed(response: ListFailedResponse) -> Iterator[RenderableType]:
    counts = [(enum_name(ErrorType, count.error_type), count.count) for count in response.error_type_counts]
    yield table(("error type", "failed or unconfirmed"), counts)
    stats = response.stats
    yield Text(
        f"Of {stats.total:,} recipients, {stats.sent:,} are sent, {stats.failed:,} failed and {stats.unconfirmed:,} "
        f"are unconfirmed. A plain resend takes {response.retryable_count:,} now; "
        f"each recipient has at most {response.max_retry_attempts} retries."
    )
    if response.sequence:
        yield Text(f"To resend in this state: --as-of-sequence {response.sequence}.")
    reasons = [skip_reason_of(failed, response.max_retry_attempts) for failed in response.failed_recipients]
    yield table(_FAILED_COLUMNS, map(_failed_row, response.failed_recipients, reasons))
    yield from (Text(advice) for advice in map(cli_resend_advice, sorted(set(reasons))) if advice)


def _failed_row(failed: FailedRecipient, reason: SkipReason.ValueType) -> tuple[object, ...]:
    return (
        failed.recipient_id,
        failed.recipient_name,
        enum_name(ErrorType, failed.last_error_type),
        error_code(failed.last_error_code, failed.last_error_subcode),
        failed.last_error_message,
        failed.attempt_count,
        failed.retryable,
        skip_text(reason).label if reason else "",
        format_time(failed.last_attempt_time),
        format_time(failed.next_retry_time),
    )


_COLUMNS = (
    "batch",
    "recipient",
    "name",
    "attempt",
    "status",
    "error type",
    "code",
    "error",
    "platform id",
    "delivered",
    "read",
    "updated",
    "next retry",
)


async def list_deliveries(
    ctx: CommandContext,
    message_id: MessageId,
    recipient: Annotated[str, typer.Option(help="Only this recipient.", show_default=False)] = "",
    status: Annotated[list[str] | None, enum_option(DeliveryStatus, text="Only this status; repeatable.")] = None,
    error_type: ErrorTypes = None,
    limit: Limit = None,
) -> None:
    """List every attempt of a message, by batch and position in the batch."""
    listing = ctx.client.list_deliveries(
        message_id,
        recipient_id=recipient,
        statuses=map(DeliveryStatus.Value, status or ()),
        error_types=map(ErrorType.Value, error_type or ()),
    )
    await show_list(ctx.output, listing, _render, limit)


def _render(response: ListDeliveriesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, response.deliveries))


def _row(delivery: Delivery) -> tuple[object, ...]:
    error = delivery.error
    return (
        delivery.batch_number,
        delivery.recipient_id,
        delivery.recipient_name,
        delivery.attempt_number,
        enum_name(DeliveryStatus, delivery.status),
        enum_name(ErrorType, error.type) if delivery.HasField("error") else "",
        error_code(error.code, error.subcode),
        error.message,
        delivery.provider_message_id,
        format_time(delivery.delivered_time),
        format_time(delivery.read_time),
        format_time(delivery.update_time),
        format_time(delivery.next_retry_time),
    )


_BATCH_COLUMNS = (
    *("batch", "round", "status", "worker"),
    *("total", "open", "sent", "failed", "unconfirmed", "cancelled"),  # total is the sum of the others
    *("started", "ended"),
)


async def list_batches(ctx: CommandContext, message_id: MessageId, limit: Limit = None) -> None:
    """List the batches of a message by number."""
    await show_list(ctx.output, ctx.client.list_batches(message_id), _render_batches, limit)


def _render_batches(response: ListBatchesResponse) -> Iterator[RenderableType]:
    yield table(_BATCH_COLUMNS, map(_batch_row, response.batches))


def _batch_row(batch: Batch) -> tuple[object, ...]:
    counts = batch.counts
    return (
        batch.number,
        batch.round,
        enum_name(BatchStatus, batch.status),
        batch.worker,
        counts.total,
        counts.pending + counts.sending,
        counts.sent,
        counts.failed,
        counts.unconfirmed,
        counts.cancelled,
        format_time(batch.start_time),
        format_time(batch.end_time),
    )
