"""A group of commits that PostgreSQL writes in one transaction, in a pipeline.

Statements whose result is not needed are not waited for. The reads that all commits need are made together before the
first commit: after each result the writer waits for Python's lock, for milliseconds while the event loop is busy.
"""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from domain.event import RecordedEvent
from projections import read_models
from projections.count_deltas import CountDeltas
from server.eventstore import rolling_upgrade
from server.eventstore.codec import append_id_of, encode
from server.eventstore.commit import Commit, Committed, Conflict
from server.eventstore.group_commit import WriteResult
from server.eventstore.postgres.rows import stored
from server.eventstore.postgres.sql import PostgresSql

_VERSIONS = """
    SELECT originator_id, MAX(originator_version) AS last FROM stored_events
    WHERE originator_id = ANY(%s) GROUP BY originator_id
"""
# Positions are reserved for all events of the group; those of a refused commit stay unused.
_POSITIONS = """
    WITH positions AS MATERIALIZED (
        SELECT pg_get_serial_sequence('stored_events', 'notification_id')::regclass AS sequence
    )
    SELECT nextval(sequence) AS position FROM positions, generate_series(1, %s)
"""
_INSERT = """
    INSERT INTO stored_events (notification_id, originator_id, originator_version, topic, state)
    OVERRIDING SYSTEM VALUE
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::bytea[])
"""  # binary parameters (%b): as text, bytes would take twice the space


class PostgresGroup:
    """Writes commits one after the other; `end` writes the counts that all of them changed."""

    def __init__(self, connection: Connection[DictRow], group: Sequence[Commit]) -> None:
        self._connection = connection
        self._sql = PostgresSql(connection)
        self._tally = CountDeltas()
        appends = [append for commit in group for append in commit.appends]
        events = [event for append in appends for event in append.events]
        versions = connection.execute(_VERSIONS, ([append.stream for append in appends],))
        positions = connection.execute(_POSITIONS, (len(events),))
        self._tally.prior_states.prefetch(self._sql, events)
        self._versions = {row["originator_id"]: row["last"] for row in versions}  # none of a new stream
        self._positions = (row["position"] for row in positions.fetchall())

    def write(self, commit: Commit) -> WriteResult:
        """Check a commit's stream versions, then its guard; write its events, read models and operational tables."""
        for append in commit.appends:
            if self._versions.get(append.stream, 0) != append.expected_version:
                return WriteResult(self._written_before(commit) or Conflict(append.stream))
        if (refusal := commit.refusal(self._sql)) is not None:
            return WriteResult(refusal)
        if commit.needs_new_release and rolling_upgrade.close_to_older(self._sql):
            self._sql.execute(rolling_upgrade.REFUSE_OLDER_LEASES)
        recorded = self._append(commit)
        self._versions.update(
            (append.stream, append.expected_version + len(append.events)) for append in commit.appends
        )
        if commit.also is not None:
            commit.also(self._sql)
        return WriteResult(Committed(recorded[-1].position if recorded else 0), recorded)

    def end(self) -> None:
        """Write the counts that the group's events changed."""
        self._tally.write(self._sql)

    def _written_before(self, commit: Commit) -> Committed | None:
        """Return the result if this commit was written before, and the connection was lost (protocol rule 17)."""
        first = commit.appends[0]
        row = self._connection.execute(
            "SELECT * FROM stored_events WHERE originator_id = %s AND originator_version = %s",
            (first.stream, first.expected_version + 1),
        ).fetchone()
        if row is None or append_id_of(stored(row)) != commit.append_id:
            return None
        return Committed(row["notification_id"])

    def _append(self, commit: Commit) -> Sequence[RecordedEvent]:
        recorded = [
            RecordedEvent(next(self._positions), append.stream, append.expected_version + offset, event)
            for append in commit.appends
            for offset, event in enumerate(append.events, start=1)
        ]
        if recorded:
            self._connection.execute(_INSERT, _columns(commit, recorded))
        read_models.apply(self._sql, recorded, self._tally)
        return recorded


def _columns(commit: Commit, recorded: Sequence[RecordedEvent]) -> list[list[object]]:
    encoded = [encode(one.stream, one.version, commit.append_id, one.event) for one in recorded]
    return [
        [one.position for one in recorded],
        [one.originator_id for one in encoded],
        [one.originator_version for one in encoded],
        [one.topic for one in encoded],
        [one.state for one in encoded],
    ]
