"""Recipients of a message that changed after a position of the log, found from the events after it."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from domain.batch_events import (
    BatchCreated,
    BatchEvent,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
)
from domain.event import Event
from domain.message import Message
from domain.receipts import ReceiptKind, ReceiptsRecorded
from projections.delivery_rows import DeliveryPlace, recipient_ids_at
from projections.sql import Sql
from server.eventstore.commit import EventLog
from server.eventstore.message_streams import streams_of_batches
from server.eventstore.stream import positions_in, recorded_at
from server.runtime.cooperative import slices

EVENTS_AT_ONCE = 50  # of up to 100 recipients each: about 30 ms


class ChangedRecipients(NamedTuple):
    """Recipients that changed, as far as the log was read: up to the position `until`."""

    recipients: frozenset[str]
    until: int

    def extended(self, sql: Sql, message: Message, until: int) -> "ChangedRecipients":
        """Return these and those that changed up to a later position; the message is folded up to that position."""
        return self.extended_by(sql, message.id, _positions_after(sql, message, self.until), until)

    def extended_by(self, sql: Sql, message_id: str, positions: Sequence[int], until: int) -> "ChangedRecipients":
        """Return these and those that changed by the events at some positions: all of the message up to `until`."""
        return ChangedRecipients(self.recipients | _changed_at(sql, message_id, positions), until)


async def load_changes(log: EventLog, message: Message, known: ChangedRecipients) -> ChangedRecipients:
    """Return the recipients that changed up to now. Raises Unavailable.

    All recipients of a message may have changed, so some events are read at a time. The snapshot in which a slice is
    planned then has only a few more to read.
    """
    positions = await log.read(lambda sql: _positions_after(sql, message, known.until))
    for some in slices(positions, EVENTS_AT_ONCE):
        known = await log.read(partial(known.extended_by, message_id=message.id, positions=some, until=some[-1]))
    return known


def _positions_after(sql: Sql, message: Message, position: int) -> Sequence[int]:
    streams = streams_of_batches(message, 1, message.batches)
    return positions_in(sql, streams, position=sql.log_position, after=position, limit=None)


def _changed_at(sql: Sql, message_id: str, positions: Sequence[int]) -> frozenset[str]:
    """Return the recipients with an attempt that these events planned, dispatched, returned or gave an outcome.

    Cancelled deliveries are left out, because nothing is resent after a cancel.
    """
    events = [one.event for one in recorded_at(sql, positions)]
    planned = {who.id for event in events if isinstance(event, BatchCreated) for who in event.recipients}
    places = {place for event in events for place in _places(event)}
    return frozenset(planned | recipient_ids_at(sql, message_id, places))


def _places(event: Event) -> Iterator[DeliveryPlace]:
    if not isinstance(event, BatchEvent):
        return
    match event:
        case DeliveriesDispatched() | DeliveriesReturned():
            positions = event.positions
        case OutcomesRecorded() | LateOutcomesRecorded():
            positions = tuple(recorded.position for recorded in event.outcomes)
        case ReceiptsRecorded():
            positions = tuple(receipt.position for receipt in event.receipts if receipt.kind is ReceiptKind.ECHO)
        case _:
            return
    yield from ((event.batch_number, position) for position in positions)
