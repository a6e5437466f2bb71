"""The log on SQLite: embedded, one process, locked for as long as that process lives (protocol rule 6)."""

import asyncio
import fcntl
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, Self, TypeVar

from eventsourcing.persistence import PersistenceError, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor, SQLiteDatastore

from domain.errors import Unavailable
from domain.event import Event
from projections import read_models
from projections.recorded import Recorded
from projections.sql import Sql
from server.log import beside
from server.log.codec import decode, encode
from server.log.commit import Commit, CommitResult, Committed, Conflict, Listener, Refused
from server.log.group_commit import GroupCommit, Written
from server.log.sqlite_sql import SqliteSql

T = TypeVar("T")

READERS = 4  # threads that run queries
RETRY_AFTER = timedelta(seconds=1)


class DatabaseInUseError(Exception):
    """Another process has this database open: SQLite is for one."""


class ProjectingRecorder(SQLiteApplicationRecorder):
    """Brings the read models up to date in the append's own transaction."""

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], *, events: Sequence[Event] = (), **kwargs: Any
    ) -> Sequence[int]:
        positions = super()._insert_events(c, stored_events, **kwargs) or ()
        sql = SqliteSql(c)
        for position, stored, event in zip(positions, stored_events, events, strict=True):
            recorded = Recorded(position, str(stored.originator_id), stored.originator_version, event)
            read_models.apply(sql, recorded)
        return positions

    def append(self, c: SQLiteCursor, commit: Commit, append_id: str) -> Sequence[Recorded]:
        """Inserts the events of a commit, whose versions were checked."""
        numbered = [
            (append.stream, append.expected_version + offset, event)
            for append in commit.appends
            for offset, event in enumerate(append.events, start=1)
        ]
        stored = [encode(stream, version, append_id, event) for stream, version, event in numbered]
        positions = self._insert_events(c, stored, events=[event for _, _, event in numbered])
        return [Recorded(position, *place) for position, place in zip(positions, numbered, strict=True)]

    def last_version(self, c: SQLiteCursor, stream: str) -> int:
        """The version of a stream's last event; 0 when there is none."""
        statement = f"SELECT MAX(originator_version) AS last FROM {self.events_table_name} WHERE originator_id = ?"  # noqa: S608
        c.execute(statement, (stream,))
        return c.fetchone()["last"] or 0


class SqliteLog:
    """See EventLog."""

    def __init__(self, path: Path) -> None:
        self._lock = _lock(path)
        self._recorder = ProjectingRecorder(SQLiteDatastore(str(path), originator_id_type="text"))
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="log-reader")
        self._listeners: list[Listener] = []
        self._create_tables()
        self._writer = GroupCommit(self._write, self._publish)

    @property
    def recorder(self) -> SQLiteApplicationRecorder:
        """The library's own view of the log, for maintenance."""
        return self._recorder

    def _create_tables(self) -> None:
        self._recorder.create_table()
        with self._recorder.datastore.transaction(commit=True) as c:
            read_models.create(SqliteSql(c))
            beside.create(SqliteSql(c))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Writes what waits, then lets the database go."""
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._recorder.datastore.close()
        self._lock.close()

    def listen(self, listener: Listener) -> None:
        """Calls the listener in the event loop with what each commit recorded."""
        self._listeners.append(listener)

    def _publish(self, recorded: Sequence[Recorded]) -> None:
        for listener in self._listeners:
            listener(recorded)

    async def commit(self, commit: Commit) -> CommitResult:
        """Writes it, together with whatever else waits; raises Unavailable."""
        return await self._writer.commit(commit)

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """The events of a stream; raises Unavailable."""
        return await self._in_reader(lambda: [decode(s) for s in self._recorder.select_events(stream, limit=limit)])

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Runs a query in a snapshot; raises Unavailable."""
        return await self._in_reader(lambda: self._query(query))

    def _query(self, query: Callable[[Sql], T]) -> T:
        with self._recorder.datastore.transaction(commit=False) as c:
            return query(SqliteSql(c))

    async def _in_reader(self, work: Callable[[], T]) -> T:
        with _unavailable():
            return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def _write(self, group: Sequence[Commit]) -> Sequence[Written]:
        """All in one transaction; when that fails, each in one of its own, so that one cannot spoil another."""
        try:
            with self._recorder.datastore.transaction(commit=True) as c:
                return [self._write_one(c, commit) for commit in group]
        except Exception:  # noqa: BLE001 - whatever it was, each commit meets it again alone
            return [self._write_alone(commit) for commit in group]

    def _write_alone(self, commit: Commit) -> Written:
        try:
            with _unavailable(), self._recorder.datastore.transaction(commit=True) as c:
                return self._write_one(c, commit)
        except Exception as error:  # noqa: BLE001 - handed to the one who waits for it
            return Written(error)

    def _write_one(self, c: SQLiteCursor, commit: Commit) -> Written:
        for append in commit.appends:
            if self._recorder.last_version(c, append.stream) != append.expected_version:
                return Written(Conflict(append.stream))
        sql = SqliteSql(c)
        if commit.guard is not None and (cause := commit.guard(sql)) is not None:
            return Written(Refused(cause))
        recorded = self._recorder.append(c, commit, token_hex(8))
        if commit.also is not None:
            commit.also(sql)
        return Written(Committed(recorded[-1].position if recorded else 0), recorded)


@contextmanager
def _unavailable() -> Iterator[None]:
    """A database that cannot be used now is not the caller's fault."""
    try:
        yield
    except (sqlite3.OperationalError, PersistenceError) as error:
        raise Unavailable("the log cannot be used now", RETRY_AFTER) from error


def _lock(path: Path) -> IO[str]:
    lock = path.with_name(path.name + ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise DatabaseInUseError(f"{path} is in use by another process") from error
    return lock
