"""Streams of the log, read together with whatever else a query reads."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eventsourcing.persistence import StoredEvent

from domain.event import Event, RecordedEvent
from projections.sql import BulkRows, Row, Sql
from server.eventstore.codec import decode

WITHOUT_END = 2**62
EVENTS_AT_ONCE = 500
EVENTS_BETWEEN_SIZES = 20  # read together where their bytes are limited


class Stored(NamedTuple):
    """An event as it is kept, with its place."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes

    @property
    def event(self) -> StoredEvent:
        """As the codec takes it."""
        return StoredEvent(self.stream, self.version, self.topic, self.state)


def events_of(sql: Sql, stream: str) -> Sequence[Event]:
    """The events of a stream in order; both databases keep them in a table of the same shape."""
    rows = sql.rows(
        """
        SELECT originator_version, topic, state FROM stored_events
        WHERE originator_id = :stream ORDER BY originator_version
        """,
        {"stream": stream},
    )
    return [decoded(stream, row) for row in rows]


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
            yield row["originator_id"], decoded(row["originator_id"], row)


def recorded_in(
    sql: Sql, streams: Sequence[str], *, position: str, after: int, limit: int | None
) -> Sequence[RecordedEvent]:
    """The events of some streams in the log's order, after a position; `position` is the database's column of it."""
    return recorded_at(sql, positions_in(sql, streams, position=position, after=after, limit=limit))


class Part(NamedTuple):
    """Events of some streams; `is_cut_short` if the bytes that it may have were reached, so that more may follow."""

    recorded: Sequence[RecordedEvent]
    is_cut_short: bool


def recorded_within(sql: Sql, streams: Sequence[str], *, after: int, limit: int, most_bytes: int) -> Part:
    """Return events as recorded_in does, but no more once they have so many bytes as they are kept; at least one."""
    positions = positions_in(sql, streams, position=sql.log_position, after=after, limit=limit)
    found: list[RecordedEvent] = []
    size = 0
    for start in range(0, len(positions), EVENTS_BETWEEN_SIZES):
        for one in _stored_at(sql, positions[start : start + EVENTS_BETWEEN_SIZES], sql.log_position):
            if size >= most_bytes:
                return Part(found, is_cut_short=True)
            size += len(one.state)
            found.append(RecordedEvent(one.position, one.stream, one.version, decode(one.event)))
    return Part(found, is_cut_short=False)


def recorded_at(sql: Sql, positions: Sequence[int]) -> Sequence[RecordedEvent]:
    """Return the events at positions of the log that go upwards."""
    found = _stored_at(sql, positions, sql.log_position)
    return [RecordedEvent(one.position, one.stream, one.version, decode(one.event)) for one in found]


def stored_in(sql: Sql, streams: Sequence[str]) -> Iterator[Stored]:
    """All events of some streams as they are kept, in the log's order, without holding them all at once."""
    positions = positions_in(sql, streams, position=sql.log_position, after=0, limit=None)
    for start in range(0, len(positions), EVENTS_AT_ONCE):
        yield from _stored_at(sql, positions[start : start + EVENTS_AT_ONCE], sql.log_position)


def _stored_at(sql: Sql, positions: Sequence[int], position: str) -> Sequence[Stored]:
    found = sql.rows(
        f"""
        SELECT given.position, events.originator_id, events.originator_version, events.topic, events.state
        FROM given CROSS JOIN stored_events events WHERE events.{position} = given.position
        ORDER BY given.position
        """,  # noqa: S608 - our own words
        given=BulkRows((("position", int),), [(one,) for one in positions]),
    )
    return [
        Stored(row["position"], row["originator_id"], row["originator_version"], row["topic"], bytes(row["state"]))
        for row in found
    ]


def positions_in(sql: Sql, streams: Sequence[str], *, position: str, after: int, limit: int | None) -> Sequence[int]:
    """Return where the log holds the events of some streams, in order; `position` is the database's column of it.

    + 0 keeps planners from going through the whole log by its positions, in search of a few streams.
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


def decoded(stream: str, row: Row) -> Event:
    """The event in a row."""
    return decode(StoredEvent(stream, row["originator_version"], row["topic"], bytes(row["state"])))
