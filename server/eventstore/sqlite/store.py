"""The Store on SQLite: one database file of events, read models and operational tables.

The library's recorder writes and reads the events; its connections are replaced by ones that cache statements.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import structlog
from eventsourcing.persistence import InterfaceError, OperationalError, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

from domain.event import Event, RecordedEvent
from projections import read_models
from projections.count_deltas import CountDeltas
from projections.sql import Sql
from server.eventstore import rolling_upgrade, schema
from server.eventstore.codec import append_id_of, decode, encode
from server.eventstore.commit import Commit, Committed, Conflict
from server.eventstore.group_commit import WriteResult
from server.eventstore.sqlite.sql import SqliteSql
from server.eventstore.sqlite.staging import SqliteStaging
from server.eventstore.store import READERS, Interruption
from server.eventstore.stream import recorded_in
from server.runtime import file_lock
from server.runtime.file_lock import LockHeldError

logger = structlog.get_logger()

CACHED_STATEMENTS = 200  # more than the service's statements, so that none is prepared twice
POOL = READERS + 2  # connections that stay open: the readers', the writer's, and one for maintenance
CHECKPOINT_PAGES = 8_000  # of 4 KiB in the write-ahead log, before they are copied to the database file
CHECKPOINT_SECONDS = 0.2  # one checkpoint's wait for readers
CHECKPOINTS = 3
_TRUNCATE = "PRAGMA wal_checkpoint(TRUNCATE)"
LOCK_FILE_SECONDS = 1.0  # a start waits so long for a process that is about to end
LOCK_SECONDS = 2  # a write waits so long for another program that reads the file


class DatabaseInUseError(Exception):
    """Another process has this database open; a SQLite database is for one process."""


class CachingPool(SQLiteConnectionPool):
    """Connections that cache statements. The library's keep one (9.5.6), which doubles the cost of an append."""

    def _create_connection(self) -> SQLiteConnection:
        connection = sqlite3.connect(
            self.db_name,
            check_same_thread=False,  # the pool lends a connection to one thread at a time
            isolation_level=None,
            cached_statements=CACHED_STATEMENTS,
            timeout=self.lock_timeout or 0,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")  # overwrites deleted data, so that no deleted key remains
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return SQLiteConnection(sqlite_conn=connection, max_age=self.max_age)


class CachingDatastore(SQLiteDatastore):
    """The library's datastore on a CachingPool; stream ids are texts."""

    def __init__(self, path: str, lock_timeout: int) -> None:
        super().__init__(path, lock_timeout=lock_timeout, originator_id_type="text")
        self.pool = CachingPool(db_name=path, lock_timeout=lock_timeout, pool_size=POOL)


class ProjectingRecorder(SQLiteApplicationRecorder):
    """Appends events and updates the read models in the same transaction."""

    def append(self, c: SQLiteCursor, commit: Commit, deltas: CountDeltas) -> Sequence[RecordedEvent]:
        """Insert the events of a commit whose stream versions were checked, and project them."""
        numbered = [
            (append.stream, append.expected_version + offset, event)
            for append in commit.appends
            for offset, event in enumerate(append.events, start=1)
        ]
        stored = [encode(stream, version, commit.append_id, event) for stream, version, event in numbered]
        positions = self._insert_events(c, stored) or ()
        recorded = [RecordedEvent(position, *place) for position, place in zip(positions, numbered, strict=True)]
        read_models.apply(SqliteSql(c), recorded, deltas)
        return recorded

    def last_version(self, c: SQLiteCursor, stream: str) -> int:
        """Return the version of a stream's last event; 0 if there is none."""
        statement = f"SELECT MAX(originator_version) AS last FROM {self.events_table_name} WHERE originator_id = ?"  # noqa: S608
        c.execute(statement, (stream,))
        return c.fetchone()["last"] or 0


class SqliteStore:
    """One database file, readable by its owner only. One process has it open at a time (protocol rule 6)."""

    unavailable_errors = (sqlite3.OperationalError, OperationalError, InterfaceError)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _lock(path)
        path.touch(mode=0o600)
        self._recorder = ProjectingRecorder(CachingDatastore(str(path), LOCK_SECONDS))
        try:
            with self.transaction(commit=True) as sql:
                schema.migrate(sql, self._recorder.create_table_statements)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections and release the lock file."""
        self._recorder.datastore.close()
        self._lock.close()

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Sql]:
        """Open a snapshot to read, or with `commit` a transaction to write, which an exception rolls back."""
        with self._recorder.datastore.transaction(commit=commit) as c:
            yield SqliteSql(c)

    @contextmanager
    def interruptible(self, interruption: Interruption) -> Iterator[Sql]:
        """Open a snapshot to read whose statements another thread can stop; raises ReadInterrupted."""
        with (
            self._recorder.datastore.transaction(commit=False) as c,
            interruption.by(c.sqlite_cursor.connection.interrupt),
        ):
            yield SqliteSql(c)

    def load(self, stream: str, limit: int | None) -> Sequence[Event]:
        """Return the events of a stream in order: all, or the first `limit`."""
        return [decode(stored) for stored in self._recorder.select_events(stream, limit=limit)]

    def recorded_in(self, streams: Sequence[str], after: int, limit: int | None) -> Sequence[RecordedEvent]:
        """Return events of some streams in the log's order, after a position."""
        with self.transaction(commit=False) as sql:
            return recorded_in(sql, streams, position=sql.log_position, after=after, limit=limit)

    def recorded_after(self, position: int, limit: int) -> Sequence[RecordedEvent]:
        """Return events of all streams in the log's order, after a position."""
        found = self._recorder.select_notifications(position, limit, inclusive_of_start=False)
        return [RecordedEvent(n.id, str(n.originator_id), n.originator_version, decode(n)) for n in found]

    def last_position(self) -> int:
        """Return the position of the log's last event; 0 if the log is empty."""
        return self._recorder.max_notification_id() or 0

    def staging(self, name: str) -> SqliteStaging:
        """Open the staging read models of this name."""
        return SqliteStaging(self._path, self._path.with_name(f"{self._path.name}.{name}"))

    def write_together(self, group: Sequence[Commit]) -> Sequence[WriteResult]:
        """Write a group of commits in one transaction; if one raises, none is written."""
        with self._recorder.datastore.transaction(commit=True) as c:
            deltas = CountDeltas()
            written = [self._write(c, commit, deltas) for commit in group]
            deltas.write(SqliteSql(c))
        if any(commit.destroys for commit in group):
            self._empty_write_ahead_log()
        return written

    def _empty_write_ahead_log(self) -> None:
        """Truncate the write-ahead log, which still has the destroyed data; log a warning if readers prevent it.

        Later checkpoints overwrite the data then. Only the writer thread may call this: a running write transaction
        would fail, as if another process had written.
        """
        try:
            with closing(sqlite3.connect(self._path, timeout=CHECKPOINT_SECONDS)) as connection:
                attempts = (connection.execute(_TRUNCATE).fetchone() for _ in range(CHECKPOINTS))
                is_empty = any(not is_busy for is_busy, *_ in attempts)
        except sqlite3.Error:
            is_empty = False
        if not is_empty:
            logger.warning("write_ahead_log_in_use")

    def _write(self, c: SQLiteCursor, commit: Commit, deltas: CountDeltas) -> WriteResult:
        for append in commit.appends:
            if self._recorder.last_version(c, append.stream) != append.expected_version:
                return WriteResult(self._written_before(c, commit) or Conflict(append.stream))
        sql = SqliteSql(c)
        if (refusal := commit.refusal(sql)) is not None:
            return WriteResult(refusal)
        if commit.needs_new_release:
            rolling_upgrade.close_to_older(sql)
        recorded = self._recorder.append(c, commit, deltas)
        if commit.also is not None:
            commit.also(sql)
        return WriteResult(Committed(recorded[-1].position if recorded else 0), recorded)

    def _written_before(self, c: SQLiteCursor, commit: Commit) -> Committed | None:
        """Return the result if this commit was written before, and its caller did not get it (protocol rule 17)."""
        first = commit.appends[0]
        c.execute(
            "SELECT rowid, * FROM stored_events WHERE originator_id = ? AND originator_version = ?",
            (first.stream, first.expected_version + 1),
        )
        row = c.fetchone()
        if row is None:
            return None
        stored = StoredEvent(first.stream, row["originator_version"], row["topic"], row["state"])
        return Committed(row["rowid"]) if append_id_of(stored) == commit.append_id else None


def _lock(path: Path) -> IO[str]:
    try:
        return file_lock.acquire(path.with_name(path.name + ".lock"), within=LOCK_FILE_SECONDS)
    except LockHeldError as error:
        raise DatabaseInUseError(f"{path} is in use by another process: {error}") from error
