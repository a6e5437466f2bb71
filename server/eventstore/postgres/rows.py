"""Rows of PostgreSQL's table of events, as the library and the log have them."""

from eventsourcing.persistence import StoredEvent
from psycopg.rows import DictRow

from domain.event import RecordedEvent
from server.eventstore.codec import decode


def stored(row: DictRow) -> StoredEvent:
    """An event as it is kept."""
    return StoredEvent(row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"]))


def recorded(row: DictRow) -> RecordedEvent:
    """An event with its place in the log."""
    return RecordedEvent(row["notification_id"], row["originator_id"], row["originator_version"], decode(stored(row)))
