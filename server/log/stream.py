"""One stream of the log, read together with whatever else a query reads."""

from collections.abc import Sequence

from eventsourcing.persistence import StoredEvent

from domain.event import Event
from projections.sql import Sql
from server.log.codec import decode


def events_of(sql: Sql, stream: str) -> Sequence[Event]:
    """The events of a stream in order; both databases keep them in a table of the same shape."""
    rows = sql.rows(
        """
        SELECT originator_version, topic, state FROM stored_events
        WHERE originator_id = :stream ORDER BY originator_version
        """,
        {"stream": stream},
    )
    return [decode(StoredEvent(stream, row["originator_version"], row["topic"], bytes(row["state"]))) for row in rows]
