"""Deliveries that a cleanup may remove, and their removal.

A cleanup removes deliveries that are SENT or CANCELLED, have not changed since a given time, and whose recipient is
SENT or CANCELLED. It keeps all deliveries of failed and unconfirmed recipients, because a resend depends on them. It
keeps all rows of recipients, so that no recipient gets the message twice, and all counts.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domain.batch import BATCH_SIZE
from domain.event import RecordedEvent
from domain.retention_events import CleanedPart, DeliveriesCleaned
from projections.sql import BulkRows, Micros, Parameters, Sql, micros

MAX_ROWS = 10_000  # deliveries that one search examines, and one transaction removes, at most
MAX_MESSAGES = 10  # messages that one transaction changes, at most
_BATCHES_AT_ONCE = MAX_ROWS // BATCH_SIZE

# One look-up per delivery: a message may have very many recipients.
_REMOVABLE = """
    deliveries.status IN ('SENT', 'CANCELLED') AND deliveries.update_time < :before
    AND (SELECT recipients.state FROM recipients WHERE recipients.message_id = deliveries.message_id
         AND recipients.recipient_id = deliveries.recipient_id) IN ('SENT', 'CANCELLED')
"""


class CleanupCursor(NamedTuple):
    """The progress of a cleanup: the last message examined, in id order, and its last batch examined."""

    message_id: str = ""
    batch_number: int = 0


class RemovableParts(NamedTuple):
    """The result of a search: parts to remove, and where the next search starts; None if everything is examined."""

    parts: Sequence[CleanedPart]
    cursor: CleanupCursor | None


def find_removable(sql: Sql, before: Micros, cursor: CleanupCursor) -> RemovableParts:
    """Return the next parts of completed messages, by id and batch, that have removable deliveries."""
    windows = list(_windows(sql, before, cursor))
    if not windows:
        return RemovableParts((), None)
    counts = _counts(sql, before, windows)
    parts = [_part(window, counts[index]) for index, window in enumerate(windows) if index in counts]
    last = parts[MAX_MESSAGES - 1] if len(parts) > MAX_MESSAGES else windows[-1]
    return RemovableParts(parts[:MAX_MESSAGES], CleanupCursor(last.message_id, last.last_batch))


class _Window(NamedTuple):
    message_id: str
    first_batch: int
    last_batch: int


def _part(window: _Window, deliveries: int) -> CleanedPart:
    return CleanedPart(**window._asdict(), deliveries=deliveries)


def _windows(sql: Sql, before: Micros, cursor: CleanupCursor) -> Iterator[_Window]:
    """Yield the next batches to examine, at most _BATCHES_AT_ONCE: the rest of a message, then the next messages."""
    rows = sql.rows(
        """
        SELECT message_id, batches_total FROM messages
        WHERE message_id >= :message_id AND is_completed = 1 AND create_time < :before
        ORDER BY message_id LIMIT :limit
        """,
        {
            "message_id": cursor.message_id,
            "before": before,
            "limit": _BATCHES_AT_ONCE + 1,  # one more: the cursor's message may be finished
        },
    )
    remaining = _BATCHES_AT_ONCE
    for row in rows:
        examined = cursor.batch_number if row["message_id"] == cursor.message_id else 0
        last = min(row["batches_total"], examined + remaining)
        if last > examined:
            yield _Window(row["message_id"], examined + 1, last)
        remaining -= last - examined
        if not remaining:
            return


def _counts(sql: Sql, before: Micros, windows: Sequence[_Window]) -> dict[int, int]:
    rows = sql.rows(
        f"""
        SELECT given.row_index, COUNT(*) AS deliveries FROM given CROSS JOIN deliveries
        WHERE deliveries.message_id = given.message_id
          AND deliveries.batch_number BETWEEN given.first_batch AND given.last_batch AND {_REMOVABLE}
        GROUP BY given.row_index
        """,  # noqa: S608 - here and below: constants of this module
        {"before": before},
        BulkRows(
            (("row_index", int), ("message_id", str), ("first_batch", int), ("last_batch", int)),
            [(index, *window) for index, window in enumerate(windows)],
        ),
    )
    return {row["row_index"]: row["deliveries"] for row in rows}


def is_unchanged(sql: Sql, before: Micros, parts: Sequence[CleanedPart]) -> bool:
    """Return whether the parts still have the same removable deliveries, and their messages are still completed."""
    windows = [_Window(part.message_id, part.first_batch, part.last_batch) for part in parts]
    if _counts(sql, before, windows) != {index: part.deliveries for index, part in enumerate(parts)}:
        return False
    messages = {part.message_id for part in parts}
    completed = sql.rows(
        """
        SELECT messages.message_id FROM given CROSS JOIN messages
        WHERE messages.message_id = given.message_id AND messages.is_completed = 1
        """,
        given=BulkRows((("message_id", str),), [(message_id,) for message_id in messages]),
    )
    return len(completed) == len(messages)


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Remove the deliveries of a DeliveriesCleaned event, and their receipts."""
    event = recorded.event
    if not isinstance(event, DeliveriesCleaned):
        return
    for part in event.parts:
        batches = {"message_id": part.message_id, "first": part.first_batch, "last": part.last_batch}
        _remove(sql, batches, micros(event.before))


def _remove(sql: Sql, batches: Parameters, before: Micros) -> None:
    sql.execute(
        f"""
        DELETE FROM deliveries
        WHERE message_id = :message_id AND batch_number BETWEEN :first AND :last AND {_REMOVABLE}
        """,  # noqa: S608
        {**batches, "before": before},
    )
    sql.execute(
        """
        DELETE FROM receipts
        WHERE message_id = :message_id AND batch_number BETWEEN :first AND :last
          AND (SELECT 1 FROM deliveries WHERE deliveries.message_id = receipts.message_id
               AND deliveries.batch_number = receipts.batch_number
               AND deliveries.position = receipts.position) IS NULL
        """,
        batches,
    )
    sql.execute(
        "UPDATE messages SET is_cleaned = 1 WHERE message_id = :message_id", {"message_id": batches["message_id"]}
    )
