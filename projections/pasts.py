"""What became of messages and batches before an event: read once in a transaction, however many events ask."""

from collections.abc import Iterable
from typing import NamedTuple

from domain.batch_events import BatchCreated, BatchEvent
from domain.event import Event
from domain.receipt_events import ReceiptsRecorded
from projections.sql import Given, Sql

_Place = tuple[str, int]
_NEW = 0  # the number under which a batch that is only created is asked for: nothing of it was echoed


class Past(NamedTuple):
    """What became of a message and one of its batches so far.

    A recipient may have more than one attempt; some attempts were removed; some delivery of the batch was echoed.
    """

    has_retries: bool
    is_cleaned: bool
    is_echoed: bool


class Pasts:
    """Those of one transaction."""

    def __init__(self) -> None:
        self._known: dict[_Place, Past] = {}

    def read(self, sql: Sql, events: Iterable[Event]) -> None:
        """Reads by one statement what the events will ask for."""
        self._read(sql, {_place(event) for event in events if isinstance(event, BatchEvent)})

    def before(self, sql: Sql, event: BatchEvent) -> Past:
        """What became of the event's message and batch before it."""
        place = _place(event)
        if place not in self._known:
            self._read(sql, {place})
        return self._known[place]

    def heed(self, event: Event) -> None:
        """After any event but a batch's own, what was read may be so no more."""
        if not isinstance(event, BatchEvent) or isinstance(event, ReceiptsRecorded):
            self._known.clear()

    def _read(self, sql: Sql, places: set[_Place]) -> None:
        if not places:
            return
        for row in sql.rows(_PASTS, given=Given((("message_id", str), ("batch_number", int)), sorted(places))):
            past = Past(row["round"] > 0, row["is_cleaned"] == 1, row["has_receipts"] == 1)
            self._known[row["message_id"], row["batch_number"]] = past


def _place(event: BatchEvent) -> _Place:
    return event.message_id, _NEW if isinstance(event, BatchCreated) else event.batch_number


# An unknown message may have whatever past.
_PASTS = """
    SELECT given.message_id, given.batch_number, COALESCE(messages.round, 1) AS round,
           COALESCE(messages.is_cleaned, 0) AS is_cleaned,
           CASE WHEN messages.message_id IS NULL THEN 1 ELSE COALESCE((
               SELECT 1 FROM receipts
               WHERE receipts.message_id = given.message_id AND receipts.batch_number = given.batch_number LIMIT 1
           ), 0) END AS has_receipts
    FROM given LEFT JOIN messages ON messages.message_id = given.message_id
"""
