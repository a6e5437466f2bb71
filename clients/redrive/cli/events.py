"""`redrive events`: what happened to a message."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import RenderableType

from redrive.cli.command import Session
from redrive.cli.lists import Limit, show_list
from redrive.cli.messages import MessageId
from redrive.cli.output import local_time, table
from redrive.v1.delivery_service_pb2 import ListEventsResponse, LogEvent

_COLUMNS = ("position", "time", "batch", "version", "event", "what happened")


async def list_events(
    session: Session,
    message_id: MessageId,
    batch: Annotated[int, typer.Option(min=0, show_default=False, help="Only this batch's.")] = 0,
    without_batches: Annotated[
        bool, typer.Option("--without-batches", help="Only the message's own and its page's.")
    ] = False,
    limit: Limit = None,
) -> None:
    """What happened to a message, and to its page meanwhile; all details are in JSON (-o json)."""
    events = session.client.list_events(message_id, batch_number=batch, without_batches=without_batches)
    await show_list(session.output, events, _render, limit)


def _render(answer: ListEventsResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, answer.events))


def _row(event: LogEvent) -> tuple[object, ...]:
    return (
        event.position,
        local_time(event.time),
        event.batch_number or "",
        event.version,
        event.name,
        event.summary,
    )
