"""Messages that may be archived, and the effect of archiving on the read models."""

from collections.abc import Sequence
from typing import NamedTuple

from domain.event import RecordedEvent
from domain.message_events import MessageArchived
from projections.sql import Micros, Sql

# Completed, and without any change to come unless a person requests it: not paused, no canary, no automatic round left.
_FINISHED = """
    is_completed = 1 AND is_visible = 1 AND is_paused = 0 AND is_archived = 0 AND canary_round = 0
    AND pending + sending = 0 AND batches_completed >= batches_total AND end_time < :before AND update_time < :before
    AND (retry_type = 'MANUAL' OR is_cancelled = 1 OR failed + unconfirmed = 0 OR retry_count >= max_retry_attempts)
"""


class ArchivableMessage(NamedTuple):
    """A message that may be archived."""

    message_id: str
    owner: str
    batches: int


def list_archivable(sql: Sql, before: Micros, *, after: str, limit: int) -> Sequence[ArchivableMessage]:
    """Return archivable messages that have not changed since `before`, ordered by id, after the id `after`."""
    rows = sql.rows(
        f"""
        SELECT message_id, owner, batches_total FROM messages WHERE message_id > :after AND {_FINISHED}
        ORDER BY message_id LIMIT :limit
        """,  # noqa: S608 - here and below: constants of this module
        {"before": before, "after": after, "limit": limit},
    )
    return [ArchivableMessage(row["message_id"], row["owner"], row["batches_total"]) for row in rows]


def is_archivable(sql: Sql, message_id: str, before: Micros) -> bool:
    """Return whether a message may still be archived."""
    row = sql.row(
        f"SELECT 1 FROM messages WHERE message_id = :message_id AND {_FINISHED}",  # noqa: S608
        {"message_id": message_id, "before": before},
    )
    return row is not None


def archived_with_events_left(sql: Sql) -> Sequence[str]:
    """Return archived messages that still have events in the event store, because their removal was interrupted."""
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


def batch_keys(sql: Sql, message_id: str) -> Sequence[tuple[int, int]]:
    """Return the stage and number of each batch of a message."""
    rows = sql.rows(
        "SELECT stage, number FROM batches WHERE message_id = :message_id ORDER BY number", {"message_id": message_id}
    )
    return [(row["stage"], row["number"]) for row in rows]


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Mark an archived message, and delete its receipts, so that later receipts are ignored."""
    event = recorded.event
    if isinstance(event, MessageArchived):
        message = {"message_id": event.message_id}
        sql.execute("UPDATE messages SET is_archived = 1 WHERE message_id = :message_id", message)
        sql.execute("DELETE FROM receipts WHERE message_id = :message_id", message)
