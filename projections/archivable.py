"""Which messages may be archived, and what it changes of the read models that a message's events stand elsewhere."""

from collections.abc import Sequence
from typing import NamedTuple

from domain.archive_events import MessageArchived
from projections.recorded import Recorded
from projections.sql import Micros, Sql

# Done, and neither a person's pause nor the timer nor late news of an AUTO message will touch them by themselves.
_FINISHED = """
    is_completed = 1 AND is_visible = 1 AND is_paused = 0 AND is_archived = 0 AND canary_round = 0
    AND pending + sending = 0 AND batches_completed >= batches_total AND end_time < :before AND update_time < :before
    AND (retry_type = 'MANUAL' OR is_cancelled = 1 OR failed + unconfirmed = 0 OR retry_count >= max_retry_attempts)
"""


class Finished(NamedTuple):
    """A message that may be archived."""

    message_id: str
    owner: str
    batches: int


def finished(sql: Sql, before: Micros, *, after: str, limit: int) -> Sequence[Finished]:
    """Messages that have not changed since a time, and will not by themselves; by id, after the last one seen."""
    rows = sql.rows(
        f"""
        SELECT message_id, owner, batches_total FROM messages WHERE message_id > :after AND {_FINISHED}
        ORDER BY message_id LIMIT :limit
        """,  # noqa: S608 - here and below: our own words
        {"before": before, "after": after, "limit": limit},
    )
    return [Finished(row["message_id"], row["owner"], row["batches_total"]) for row in rows]


def is_finished(sql: Sql, message_id: str, before: Micros) -> bool:
    """A message may be archived still."""
    row = sql.row(
        f"SELECT 1 FROM messages WHERE message_id = :message_id AND {_FINISHED}",  # noqa: S608
        {"message_id": message_id, "before": before},
    )
    return row is not None


def archived_with_events(sql: Sql) -> Sequence[str]:
    """Archived messages of whose events some are left in the log: their removal was cut off."""
    rows = sql.rows(
        """
        SELECT message_id FROM messages
        WHERE is_archived = 1
          AND (SELECT 1 FROM stored_events events
               WHERE events.originator_id = 'message/' || messages.message_id AND events.originator_version = 1)
              IS NOT NULL
        """
    )
    return [row["message_id"] for row in rows]


def batch_places(sql: Sql, message_id: str) -> Sequence[tuple[int, int]]:
    """The stage and number of each of a message's batches."""
    rows = sql.rows(
        "SELECT stage, number FROM batches WHERE message_id = :message_id ORDER BY number", {"message_id": message_id}
    )
    return [(row["stage"], row["number"]) for row in rows]


def apply(sql: Sql, recorded: Recorded) -> None:
    """What is told later of an archived message's deliveries finds no place any more."""
    event = recorded.event
    if isinstance(event, MessageArchived):
        message = {"message_id": event.message_id}
        sql.execute("UPDATE messages SET is_archived = 1 WHERE message_id = :message_id", message)
        sql.execute("DELETE FROM receipts WHERE message_id = :message_id", message)
