"""Queries of the log's streams, which run in the same snapshot as other queries.

`position` is the name of the database's column of positions in the log (`Sql.log_position`).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eventsourcing.persistence import StoredEvent

from domain.event import Event, RecordedEvent
from projections.sql import BulkRows, Row, Sql
from server.eventstore.codec import decode

WITHOUT_END = 2**62
EVENTS_AT_ONCE = 500
EVENTS_BETWEEN_SIZES = 20  # read at once where the total size is limited


class StoredRow(NamedTuple):
    """An encoded event with its position, stream and version."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes

    @property
    def event(self) -> StoredEvent:
        """The event as the codec decodes it."""
        return StoredEvent(self.stream, self.version, self.topic, self.state)


def events_of(sql: Sql, stream: str) -> Sequence[Event]:
    """Return the events of a stream in order."""
    rows = sql.rows(
        """
        SELECT originator_version, topic, state FROM stored_events
        WHERE originator_id = :stream ORDER BY originator_version
        """,
        {"stream": stream},
    )
    return [decode_row(stream, row) for row in rows]


def first_events_of(sql: Sql, streams: Sequence[str]) -> Iterator[tuple[str, Event]]:
    """Yield each stream with its first event; at most EVENTS_BETWEEN_SIZES events are in memory at once."""
    for start in range(0, len(streams), EVENTS_BETWEEN_SIZES):
        rows = sql.rows(
            """
            SELECT events.originator_id, events.originator_version, events.topic, events.state
            FROM given CROSS JOIN stored_events events
            WHERE events.originator_id = given.stream AND events.originator_version = 1
            """,
            given=BulkRows((("stream", str),), [(stream,) for stream in streams[start : start + EVENTS_BETWEEN_SIZES]]),
        )
        for row in rows:
            yield row["originator_id"], decode_row(row["originator_id"], row)


def recorded_in(
    sql: Sql, streams: Sequence[str], *, position: str, after: int, limit: int | None
) -> Sequence[RecordedEvent]:
    """Return the events of some streams in the log's order, after a position: all, or the first `limit`."""
    return recorded_at(sql, positions_in(sql, streams, position=position, after=after, limit=limit))


class EventChunk(NamedTuple):
    """Events of some streams; `is_cut_short` if they reached the size limit, so that more may follow."""

    recorded: Sequence[RecordedEvent]
    is_cut_short: bool


def recorded_within(sql: Sql, streams: Sequence[str], *, after: int, limit: int, most_bytes: int) -> EventChunk:
    """Return events as recorded_in does, until their encoded size reaches `most_bytes`; at least one."""
    positions = positions_in(sql, streams, position=sql.log_position, after=after, limit=limit)
    found: list[RecordedEvent] = []
    size = 0
    for start in range(0, len(positions), EVENTS_BETWEEN_SIZES):
        for one in _stored_at(sql, positions[start : start + EVENTS_BETWEEN_SIZES], sql.log_position):
            if size >= most_bytes:
                return EventChunk(found, is_cut_short=True)
            size += len(one.state)
            found.append(RecordedEvent(one.position, one.stream, one.version, decode(one.event)))
    return EventChunk(found, is_cut_short=False)


def recorded_at(sql: Sql, positions: Sequence[int]) -> Sequence[RecordedEvent]:
    """Return the events at some positions, which are in ascending order."""
    found = _stored_at(sql, positions, sql.log_position)
    return [RecordedEvent(one.position, one.stream, one.version, decode(one.event)) for one in found]


def stored_in(sql: Sql, streams: Sequence[str]) -> Iterator[StoredRow]:
    """Yield all events of some streams, encoded, in the log's order; at most EVENTS_AT_ONCE are in memory."""
    positions = positions_in(sql, streams, position=sql.log_position, after=0, limit=None)
    for start in range(0, len(positions), EVENTS_AT_ONCE):
        yield from _stored_at(sql, positions[start : start + EVENTS_AT_ONCE], sql.log_position)


def _stored_at(sql: Sql, positions: Sequence[int], position: str) -> Sequence[StoredRow]:
    found = sql.rows(
        f"""
        SELECT given.position, events.originator_id, events.originator_version, events.topic, events.state
        FROM given CROSS JOIN stored_events events WHERE events.{position} = given.position
        ORDER BY given.position
        """,  # noqa: S608 - our own words
        given=BulkRows((("position", int),), [(one,) for one in positions]),
    )
    return [
        StoredRow(row["position"], row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"]))
        for row in found
    ]


def positions_in(sql: Sql, streams: Sequence[str], *, position: str, after: int, limit: int | None) -> Sequence[int]:
    """Return the positions of the events of some streams, in ascending order.

    `+ 0` prevents a plan that scans the whole log by position for a few streams.
    """
    found = sql.rows(
        f"""
        SELECT events.{position} AS position FROM given CROSS JOIN stored_events events
        WHERE events.originator_id = given.stream AND events.{position} + 0 > :after
        ORDER BY events.{position} + 0 LIMIT :limit
        """,  # noqa: S608
        {"after": after, "limit": WITHOUT_END if limit is None else limit},
        BulkRows((("stream", str),), [(stream,) for stream in streams]),
    )
    return [row["position"] for row in found]


def decode_row(stream: str, row: Row) -> Event:
    """Return the event of a row of stored_events."""
    return decode(StoredEvent(stream, row["originator_version"], row["topic"], bytes(row["state"])))
