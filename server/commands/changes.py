"""Who of a message has changed since a position of the log, by what the log recorded after it."""

from collections.abc import Iterator
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
from domain.receipt_events import ReceiptKind, ReceiptsRecorded
from projections.sql import Given, Sql
from server.history.message_log import streams_of_batches
from server.log.stream import recorded_in

Place = tuple[int, int]  # a delivery: its batch and its position there


class Changes(NamedTuple):
    """Who of a message has changed up to a position of the log."""

    recipients: frozenset[str]
    until: int

    def and_since(self, sql: Sql, message: Message, until: int) -> "Changes":
        """And who has changed from there up to another one; the message is as its stream is at that moment."""
        return Changes(self.recipients | changed_since(sql, message, self.until), until)


def changed_since(sql: Sql, message: Message, position: int) -> frozenset[str]:
    """The recipients of whom an attempt was planned, left, came back or had its outcome after the position.

    What a cancel changed is not told: after it nothing is resent.
    """
    streams = streams_of_batches(message, 1, message.batches)
    events = [one.event for one in recorded_in(sql, streams, position=sql.log_position, after=position, limit=None)]
    planned = {who.id for event in events if isinstance(event, BatchCreated) for who in event.recipients}
    places = {place for event in events for place in _places(event)}
    return frozenset(planned | _recipients_at(sql, message.id, places))


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
        Given((("batch_number", int), ("position", int)), sorted(places)),
    )
    return {row["recipient_id"] for row in rows}
