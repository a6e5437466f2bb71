"""Which deliveries a cleanup may remove, and their removal.

Those that are sent or cancelled, have not changed for long, and whose recipient stands as sent or cancelled. Failed and
unconfirmed ones stay, and so does whatever else a recipient has that failed in the end: what may be resent to him
depends on it. The recipient's own row stays in any case: he is never sent to again. So do all counts.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domain.batch import BATCH_SIZE
from domain.cleanup_events import CleanedPart, DeliveriesCleaned
from projections.recorded import Recorded
from projections.sql import Given, Micros, Parameters, Sql, micros

ROWS_AT_ONCE = 10_000  # that one look goes through, and one transaction removes
MESSAGES_AT_ONCE = 10  # that one transaction changes
_BATCHES_AT_ONCE = ROWS_AT_ONCE // BATCH_SIZE

# One look-up each: the recipients of a message may be very many.
_MAY_GO = """
    deliveries.status IN ('SENT', 'CANCELLED') AND deliveries.update_time < :before
    AND (SELECT recipients.state FROM recipients WHERE recipients.message_id = deliveries.message_id
         AND recipients.recipient_id = deliveries.recipient_id) IN ('SENT', 'CANCELLED')
"""


class Cursor(NamedTuple):
    """How far a cleanup is: the message that it looked at last, by id, and that one's batch."""

    message_id: str = ""
    batch_number: int = 0


class Found(NamedTuple):
    """What a look found to remove, and where the next one begins; None when it has seen everything."""

    parts: Sequence[CleanedPart]
    cursor: Cursor | None


def look(sql: Sql, before: Micros, cursor: Cursor) -> Found:
    """The next parts of which something may be removed: of messages that are done, by id and batch."""
    windows = list(_windows(sql, before, cursor))
    if not windows:
        return Found((), None)
    counts = _counts(sql, before, windows)
    parts = [_part(window, counts[place]) for place, window in enumerate(windows) if place in counts]
    last = parts[MESSAGES_AT_ONCE - 1] if len(parts) > MESSAGES_AT_ONCE else windows[-1]
    return Found(parts[:MESSAGES_AT_ONCE], Cursor(last.message_id, last.last_batch))


class _Window(NamedTuple):
    message_id: str
    first_batch: int
    last_batch: int


def _part(window: _Window, deliveries: int) -> CleanedPart:
    return CleanedPart(**window._asdict(), deliveries=deliveries)


def _windows(sql: Sql, before: Micros, cursor: Cursor) -> Iterator[_Window]:
    """What to look at next, at most so many batches: the rest of a message, and messages after it."""
    rows = sql.rows(
        """
        SELECT message_id, batches_total FROM messages
        WHERE message_id >= :message_id AND is_completed = 1 AND create_time < :before
        ORDER BY message_id LIMIT :limit
        """,
        {
            "message_id": cursor.message_id,
            "before": before,
            "limit": _BATCHES_AT_ONCE + 1,
        },  # of one nothing may be left
    )
    room = _BATCHES_AT_ONCE
    for row in rows:
        seen = cursor.batch_number if row["message_id"] == cursor.message_id else 0
        last = min(row["batches_total"], seen + room)
        if last > seen:
            yield _Window(row["message_id"], seen + 1, last)
        room -= last - seen
        if not room:
            return


def _counts(sql: Sql, before: Micros, windows: Sequence[_Window]) -> dict[int, int]:
    rows = sql.rows(
        f"""
        SELECT given.place, COUNT(*) AS deliveries FROM given CROSS JOIN deliveries
        WHERE deliveries.message_id = given.message_id
          AND deliveries.batch_number BETWEEN given.first_batch AND given.last_batch AND {_MAY_GO}
        GROUP BY given.place
        """,  # noqa: S608 - here and below: our own words
        {"before": before},
        Given(
            (("place", int), ("message_id", str), ("first_batch", int), ("last_batch", int)),
            [(place, *window) for place, window in enumerate(windows)],
        ),
    )
    return {row["place"]: row["deliveries"] for row in rows}


def is_unchanged(sql: Sql, before: Micros, parts: Sequence[CleanedPart]) -> bool:
    """Of these parts as much may be removed as was found, and their messages are done still."""
    windows = [_Window(part.message_id, part.first_batch, part.last_batch) for part in parts]
    if _counts(sql, before, windows) != {place: part.deliveries for place, part in enumerate(parts)}:
        return False
    messages = {part.message_id for part in parts}
    done = sql.rows(
        """
        SELECT messages.message_id FROM given CROSS JOIN messages
        WHERE messages.message_id = given.message_id AND messages.is_completed = 1
        """,
        given=Given((("message_id", str),), [(message_id,) for message_id in messages]),
    )
    return len(done) == len(messages)


def apply(sql: Sql, recorded: Recorded) -> None:
    """Removes what a cleanup removed, with the receipts that led to it."""
    event = recorded.event
    if not isinstance(event, DeliveriesCleaned):
        return
    for part in event.parts:
        place = {"message_id": part.message_id, "first": part.first_batch, "last": part.last_batch}
        _remove(sql, place, micros(event.before))


def _remove(sql: Sql, place: Parameters, before: Micros) -> None:
    sql.execute(
        f"""
        DELETE FROM deliveries
        WHERE message_id = :message_id AND batch_number BETWEEN :first AND :last AND {_MAY_GO}
        """,  # noqa: S608
        {**place, "before": before},
    )
    sql.execute(
        """
        DELETE FROM receipts
        WHERE message_id = :message_id AND batch_number BETWEEN :first AND :last
          AND (SELECT 1 FROM deliveries WHERE deliveries.message_id = receipts.message_id
               AND deliveries.batch_number = receipts.batch_number
               AND deliveries.position = receipts.position) IS NULL
        """,
        place,
    )
    sql.execute(
        "UPDATE messages SET is_cleaned = 1 WHERE message_id = :message_id", {"message_id": place["message_id"]}
    )
