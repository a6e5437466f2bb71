"""Past states of a message: queries at a time in the past, answered from the event log alone."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from threading import Lock
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from eventsourcing.sqlite import SQLiteCursor

from domain.errors import InvalidRequest, Violation
from domain.event import RecordedEvent
from projections import messages, page_pauses, read_models
from projections.count_deltas import CountDeltas
from projections.sql import Micros, Sql
from server.eventstore.commit import EventLog
from server.eventstore.message_streams import events_until
from server.eventstore.sqlite.sql import SqliteSql
from server.eventstore.sqlite.store import CACHED_STATEMENTS

T = TypeVar("T")

CACHE_KIB = 32 * 1024  # of SQLite, for each replay
KEPT_SECONDS = 60.0  # for the next page of a list
AT_ONCE = 3  # owners that are answered at once, and replays that are kept


class Replay:
    """One message's read models, made from its events in a temporary SQLite file. Every method blocks."""

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._updated: Micros = 0
        self._in_use = Lock()
        self._file = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
        )
        self._file.row_factory = sqlite3.Row
        self._file.execute("PRAGMA journal_mode = OFF")  # nothing is rolled back
        self._file.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        read_models.create(self._sql())
        self._sql().execute(page_pauses.TABLE)  # stays empty: the event log has no pauses of pages

    def _sql(self) -> Sql:
        return SqliteSql(SQLiteCursor(self._file.cursor()))

    def apply(self, recorded: Sequence[RecordedEvent]) -> None:
        """Apply more events; those of a batch come after the event that planned it."""
        with self._in_use:
            deltas, sql = CountDeltas(), self._sql()
            self._file.execute("BEGIN")
            read_models.apply(sql, recorded, deltas)
            deltas.write(sql)
            # Events come by batch and not by time, so the last one need not be the latest.
            self._updated = messages.raise_update_time(sql, self._message_id, self._updated)
            self._file.execute("COMMIT")

    def ask(self, query: Callable[[Sql], T]) -> T:
        """Return what a query finds in the read models."""
        with self._in_use:
            return query(self._sql())

    def close(self) -> None:
        """Delete the file."""
        with self._in_use:
            self._file.close()


class _Moment(NamedTuple):
    owner: str
    message_id: str
    time: datetime


class _Kept(NamedTuple):
    moment: _Moment
    replay: Replay
    expiry: asyncio.TimerHandle | None = None  # None while a query is under way


class History:
    """Answers queries about past states of messages.

    A replay takes about a second for 30,000 recipients. So the queries of one owner are answered one after another, and
    those of three owners at once. A replay reads in short steps, each a read of the caller, so that it gets its fair
    share of the readers. Each owner's last replay is kept for a minute.
    """

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by owner
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._active: set[str] = set()  # owners with a query under way
        self._kept: dict[str, _Kept] = {}  # by owner, the least recently used first

    async def ask(self, owner: str, message_id: str, time: datetime, query: Callable[[Sql], T]) -> T:
        """Return what a query would have found at a time; raises InvalidRequest, MessageNotFound, Unavailable."""
        if time > self._now():
            raise InvalidRequest([Violation("as_of_time", "must not be in the future")])
        lock = self._locks.setdefault(owner, asyncio.Lock())
        async with lock, self._at_once:
            self._active.add(owner)
            try:
                replay = await self._replay_at(_Moment(owner, message_id, time))
                return await self._log.compute(partial(replay.ask, query))
            finally:
                self._active.discard(owner)
                self._forget_later(owner)

    async def _replay_at(self, moment: _Moment) -> Replay:
        kept = self._kept.get(moment.owner)
        if kept is not None and kept.moment == moment:
            self._keep(self._take(moment.owner))
            return kept.replay
        self._forget(moment.owner)
        made = _Kept(moment, await self._make(moment))
        self._keep(made)
        return made.replay

    async def _make(self, moment: _Moment) -> Replay:
        replay = Replay(moment.message_id)
        try:
            async for part in events_until(self._log, *moment):
                await self._log.compute(partial(replay.apply, part))
        except BaseException:
            _close_in_thread(replay)
            raise
        return replay

    def _keep(self, made: _Kept) -> None:
        """Keep a replay; if too many are kept, drop the least recently used one without a query under way."""
        idle = (owner for owner in self._kept if owner not in self._active)
        if len(self._kept) >= AT_ONCE and (oldest := next(idle, None)) is not None:
            self._forget(oldest)
        self._kept[made.moment.owner] = _Kept(made.moment, made.replay)

    def _forget_later(self, owner: str) -> None:
        if owner in self._kept:
            kept = self._take(owner)
            expiry = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget, owner)
            self._kept[owner] = kept._replace(expiry=expiry)

    def _take(self, owner: str) -> _Kept:
        kept = self._kept.pop(owner)
        if kept.expiry is not None:
            kept.expiry.cancel()
        return kept

    def _forget(self, owner: str) -> None:
        if owner in self._kept:
            _close_in_thread(self._take(owner).replay)

    def close(self) -> None:
        """Drop all replays; a later query makes its replay again."""
        for owner in list(self._kept):
            self._forget(owner)


def _close_in_thread(replay: Replay) -> None:
    """Close a replay without blocking the event loop: a query of it may still run."""
    asyncio.get_running_loop().run_in_executor(None, replay.close)
