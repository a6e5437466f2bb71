"""Rows of PostgreSQL's table stored_events, as the library's type and as the log's type."""

from eventsourcing.persistence import StoredEvent
from psycopg.rows import DictRow

from domain.event import RecordedEvent
from server.eventstore.codec import decode


def stored(row: DictRow) -> StoredEvent:
    """Return a row's event as the codec decodes it."""
    return StoredEvent(row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"]))


def recorded(row: DictRow) -> RecordedEvent:
    """Return a row's decoded event with its position, stream and version."""
    return RecordedEvent(row["notification_id"], row["originator_id"], row["originator_version"], decode(stored(row)))
