"""The log on SQLite: embedded, for one process."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Self, TypeVar

from eventsourcing.persistence import PersistenceError

from domain.errors import Unavailable
from domain.event import Event
from projections.recorded import Recorded
from projections.sql import Sql
from server.log.commit import Commit, CommitResult, Listener
from server.log.group_commit import GroupCommit, Written
from server.log.sqlite_store import SqliteStore

T = TypeVar("T")

READERS = 4  # threads that run queries
RETRY_AFTER = timedelta(seconds=1)


class SqliteLog:
    """See EventLog. The store is closed with the log."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="log-reader")
        self._listeners: list[Listener] = []
        self._writer = GroupCommit(self._write, self._publish)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Writes what waits, then lets the database go."""
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._store.close()

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
        return await self._in_reader(lambda: self._store.load(stream, limit))

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Runs a query in a snapshot; raises Unavailable."""
        return await self._in_reader(lambda: self._query(query))

    def _query(self, query: Callable[[Sql], T]) -> T:
        with self._store.transaction(commit=False) as sql:
            return query(sql)

    async def _in_reader(self, work: Callable[[], T]) -> T:
        with _unavailable():
            return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def _write(self, group: Sequence[Commit]) -> Sequence[Written]:
        """All in one transaction; when that fails, each in one of its own, so that one cannot spoil another."""
        try:
            return self._store.write_together(group)
        except Exception:  # noqa: BLE001 - whatever it was, each commit meets it again alone
            return [self._write_alone(commit) for commit in group]

    def _write_alone(self, commit: Commit) -> Written:
        try:
            with _unavailable():
                return self._store.write_together([commit])[0]
        except Exception as error:  # noqa: BLE001 - handed to the one who waits for it
            return Written(error)


@contextmanager
def _unavailable() -> Iterator[None]:
    """A database that cannot be used now is not the caller's fault."""
    try:
        yield
    except (sqlite3.OperationalError, PersistenceError) as error:
        raise Unavailable("the log cannot be used now", RETRY_AFTER) from error
