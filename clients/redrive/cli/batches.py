"""`redrive batches`: how a message's recipients are worked off."""

from collections.abc import Iterator

from rich.console import RenderableType

from redrive.cli.command import Session
from redrive.cli.lists import Limit, show_list
from redrive.cli.messages import MessageId
from redrive.cli.output import local_time, table
from redrive.cli.words import word
from redrive.v1.batch_pb2 import Batch, BatchStatus
from redrive.v1.delivery_service_pb2 import ListBatchesResponse

_COLUMNS = (
    *("batch", "round", "status", "worker"),
    *("total", "open", "sent", "failed", "unconfirmed", "cancelled"),  # the total is the sum of the others
    *("started", "ended"),
)


async def list_batches(session: Session, message_id: MessageId, limit: Limit = None) -> None:
    """A message's batches, by number."""
    await show_list(session.output, session.client.list_batches(message_id), _render, limit)


def _render(answer: ListBatchesResponse) -> Iterator[RenderableType]:
    yield table(_COLUMNS, map(_row, answer.batches))


def _row(batch: Batch) -> tuple[object, ...]:
    counts = batch.counts
    return (
        batch.number,
        batch.round,
        word(BatchStatus, batch.status),
        batch.worker,
        counts.total,
        counts.pending + counts.sending,
        counts.sent,
        counts.failed,
        counts.unconfirmed,
        counts.cancelled,
        local_time(batch.start_time),
        local_time(batch.end_time),
    )
