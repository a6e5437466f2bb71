"""Who of a message has changed since a position of the log, by what the log recorded after it."""

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
from projections.sql import BulkRows, Sql
from server.eventstore.commit import EventLog
from server.eventstore.message_streams import streams_of_batches
from server.eventstore.stream import positions_in, recorded_at
from server.runtime.cooperative import slices

EVENTS_IN_A_SLICE = 50  # of up to 100 recipients each: about 30 ms

Place = tuple[int, int]  # a delivery: its batch and its position there


class Changes(NamedTuple):
    """Who of a message has changed up to a position of the log."""

    recipients: frozenset[str]
    until: int

    def and_since(self, sql: Sql, message: Message, until: int) -> "Changes":
        """And who has changed from there up to another one; the message is as its stream is at that moment."""
        return self.and_at(sql, message.id, _positions_since(sql, message, self.until), until)

    def and_at(self, sql: Sql, message_id: str, positions: Sequence[int], until: int) -> "Changes":
        """And who has changed by the events at some positions, which are all that the message has up to `until`."""
        return Changes(self.recipients | _changed_at(sql, message_id, positions), until)


async def changes_in_slices(log: EventLog, message: Message, known: Changes) -> Changes:
    """Return who has changed up to a moment ago, read a slice at a time: after a campaign it may be all recipients.

    What is left to the snapshot that a plan is made in are the events since. Raises Unavailable.
    """
    positions = await log.read(lambda sql: _positions_since(sql, message, known.until))
    for slice_ in slices(positions, EVENTS_IN_A_SLICE):
        known = await log.read(partial(_and_slice, message_id=message.id, known=known, positions=slice_))
    return known


def _and_slice(sql: Sql, message_id: str, known: Changes, positions: Sequence[int]) -> Changes:
    return known.and_at(sql, message_id, positions, positions[-1])


def _positions_since(sql: Sql, message: Message, position: int) -> Sequence[int]:
    streams = streams_of_batches(message, 1, message.batches)
    return positions_in(sql, streams, position=sql.log_position, after=position, limit=None)


def _changed_at(sql: Sql, message_id: str, positions: Sequence[int]) -> frozenset[str]:
    """Return the recipients of whom an attempt was planned, left, came back or had its outcome in these events.

    What a cancel changed is left out: after it nothing is resent.
    """
    events = [one.event for one in recorded_at(sql, positions)]
    planned = {who.id for event in events if isinstance(event, BatchCreated) for who in event.recipients}
    places = {place for event in events for place in _places(event)}
    return frozenset(planned | _recipients_at(sql, message_id, places))


def _places(event: Event) -> Iterator[Place]:
    if not isinstance(event, BatchEvent):
        return
    match event:
        case DeliveriesDispatched() | DeliveriesReturned():
            positions = event.positions
        case OutcomesRecorded() | LateOutcomesRecorded():
            positions = tuple(known.position for known in event.outcomes)
        case ReceiptsRecorded():
            positions = tuple(told.position for told in event.receipts if told.kind is ReceiptKind.ECHO)
        case _:
            return
    yield from ((event.batch_number, position) for position in positions)


def _recipients_at(sql: Sql, message_id: str, places: set[Place]) -> set[str]:
    rows = sql.rows(
        """
        SELECT deliveries.recipient_id FROM given CROSS JOIN deliveries
        WHERE deliveries.message_id = :message_id AND deliveries.batch_number = given.batch_number
          AND deliveries.position = given.position
        """,
        {"message_id": message_id},
        BulkRows((("batch_number", int), ("position", int)), sorted(places)),
    )
    return {row["recipient_id"] for row in rows}
