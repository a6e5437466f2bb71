"""`redrive deliveries`: every attempt."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType

from redrive.cli.command import Session
from redrive.cli.failed import ErrorTypes, error_code
from redrive.cli.lists import Limit, show_list
from redrive.cli.messages import MessageId
from redrive.cli.output import local_time, table
from redrive.cli.words import enum_option, word
from redrive.v1.delivery_pb2 import Delivery, DeliveryStatus
from redrive.v1.delivery_service_pb2 import ListDeliveriesResponse
from redrive.v1.error_pb2 import ErrorType

_COLUMNS = (
    "batch",
    "recipient",
    "name",
    "attempt",
    "status",
    "error type",
    "code",
    "error",
    "platform's id",
    "delivered",
    "read",
    "updated",
    "next retry",
)


async def list_deliveries(
    session: Session,
    message_id: MessageId,
    recipient: Annotated[str, typer.Option(help="Only this recipient's.", show_default=False)] = "",
    status: Annotated[list[str] | None, enum_option(DeliveryStatus, text="Only this status; repeatable.")] = None,
    error_type: ErrorTypes = None,
    limit: Limit = None,
) -> None:
    """Every attempt of a message, by batch and place in it."""
    listing = session.client.list_deliveries(
        message_id,
        recipient_id=recipient,
        statuses=map(DeliveryStatus.Value, status or ()),
        error_types=map(ErrorType.Value, error_type or ()),
    )
    await show_list(session.output, listing, _render, limit)


def _render(answer: ListDeliveriesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, answer.deliveries))


def _row(delivery: Delivery) -> tuple[object, ...]:
    error = delivery.error
    return (
        delivery.batch_number,
        delivery.recipient_id,
        delivery.recipient_name,
        delivery.attempt_number,
        word(DeliveryStatus, delivery.status),
        word(ErrorType, error.type) if delivery.HasField("error") else "",
        error_code(error.code, error.subcode),
        error.message,
        delivery.provider_message_id,
        local_time(delivery.delivered_time),
        local_time(delivery.read_time),
        local_time(delivery.update_time),
        local_time(delivery.next_retry_time),
    )
