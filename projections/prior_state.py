"""The state of messages and batches before an event, read once per transaction for all its events."""

from collections.abc import Iterable
from typing import NamedTuple

from domain.batch_events import BatchCreated, BatchEvent
from domain.event import Event
from domain.receipts import ReceiptsRecorded
from projections.sql import BulkRows, Sql

_BatchKey = tuple[str, int]
_NEW_BATCH = 0  # the batch number used for batches that are just created: they have no receipts


class PriorState(NamedTuple):
    """The state of a message and one of its batches.

    - `has_retries`: recipients of the message may have more than one attempt.
    - `is_cleaned`: a cleanup removed attempts of the message.
    - `is_echoed`: at least one delivery of the batch has a receipt.
    """

    has_retries: bool
    is_cleaned: bool
    is_echoed: bool


class PriorStates:
    """A cache of these states for one transaction."""

    def __init__(self) -> None:
        self._cached: dict[_BatchKey, PriorState] = {}

    def prefetch(self, sql: Sql, events: Iterable[Event]) -> None:
        """Read the states for all these events with one statement."""
        self._read(sql, {_batch_key(event) for event in events if isinstance(event, BatchEvent)})

    def before(self, sql: Sql, event: BatchEvent) -> PriorState:
        """Return the state of the event's message and batch before the event."""
        key = _batch_key(event)
        if key not in self._cached:
            self._read(sql, {key})
        return self._cached[key]

    def invalidate_after(self, event: Event) -> None:
        """Clear the cache after an event that may change it: receipts, and events that are not a batch's."""
        if not isinstance(event, BatchEvent) or isinstance(event, ReceiptsRecorded):
            self._cached.clear()

    def _read(self, sql: Sql, keys: set[_BatchKey]) -> None:
        if not keys:
            return
        for row in sql.rows(_SELECT, given=BulkRows((("message_id", str), ("batch_number", int)), sorted(keys))):
            state = PriorState(row["round"] > 0, row["is_cleaned"] == 1, row["has_receipts"] == 1)
            self._cached[row["message_id"], row["batch_number"]] = state


def _batch_key(event: BatchEvent) -> _BatchKey:
    return event.message_id, _NEW_BATCH if isinstance(event, BatchCreated) else event.batch_number


# For an unknown message the defaults choose the slow paths, which are right for every state.
_SELECT = """
    SELECT given.message_id, given.batch_number, COALESCE(messages.round, 1) AS round,
           COALESCE(messages.is_cleaned, 0) AS is_cleaned,
           CASE WHEN messages.message_id IS NULL THEN 1 ELSE COALESCE((
               SELECT 1 FROM receipts
               WHERE receipts.message_id = given.message_id AND receipts.batch_number = given.batch_number LIMIT 1
           ), 0) END AS has_receipts
    FROM given LEFT JOIN messages ON messages.message_id = given.message_id
"""
