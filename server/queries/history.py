"""What was: questions about a message at a time in the past, answered from the log alone."""

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
from projections import page_pauses, read_models
from projections.count_deltas import CountDeltas
from projections.sql import Micros, Sql
from server.eventstore.commit import EventLog
from server.eventstore.message_streams import events_until
from server.eventstore.sqlite.sql import SqliteSql
from server.eventstore.sqlite.store import CACHED_STATEMENTS

T = TypeVar("T")

# One message's read models, made anew from its events, apart from the live ones.


CACHE_KIB = 32 * 1024


class Replay:
    """Stands in a temporary file of SQLite's own, which is gone once it is closed. Every method blocks."""

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._updated: Micros = 0
        self._in_use = Lock()
        self._file = sqlite3.connect(
            "", isolation_level=None, check_same_thread=False, cached_statements=CACHED_STATEMENTS
        )
        self._file.row_factory = sqlite3.Row
        self._file.execute("PRAGMA journal_mode = OFF")  # there is nothing to go back to
        self._file.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        read_models.create(self._sql())
        self._sql().execute(page_pauses.TABLE)  # stays empty: the log does not hold pauses

    def _sql(self) -> Sql:
        return SqliteSql(SQLiteCursor(self._file.cursor()))

    def apply(self, recorded: Sequence[RecordedEvent]) -> None:
        """Goes on with some more events; a batch's come after those that planned it."""
        with self._in_use:
            tally, sql = CountDeltas(), self._sql()
            self._file.execute("BEGIN")
            read_models.apply(sql, recorded, tally)
            tally.write(sql)
            self._keep_update_time(sql)
            self._file.execute("COMMIT")

    def _keep_update_time(self, sql: Sql) -> None:
        """The latest of all: batches come one after the other, and not in the order in which things happened."""
        found = sql.row("SELECT update_time FROM messages WHERE message_id = :id", {"id": self._message_id})
        self._updated = max(self._updated, found["update_time"] if found else 0)
        sql.execute("UPDATE messages SET update_time = :time", {"time": self._updated})

    def ask(self, query: Callable[[Sql], T]) -> T:
        """What a query finds in the read models."""
        with self._in_use:
            return query(self._sql())

    def close(self) -> None:
        """Lets the file go."""
        with self._in_use:
            self._file.close()


KEPT_SECONDS = 60.0  # for the next page of a list
AT_ONCE = 3  # owners whose questions are answered, and whose read models are kept: each may have 32 MiB in memory


class _Moment(NamedTuple):
    owner: str
    message_id: str
    time: datetime


class _Kept(NamedTuple):
    moment: _Moment
    replay: Replay
    forgetting: asyncio.TimerHandle | None = None  # none while a question is answered from it


class History:
    """Makes a message's read models as they were, and asks them what one asks the live ones.

    An owner's questions are answered one after the other, those of a few owners at once: what one costs grows with the
    message (about a second for 30,000 recipients). All of it is done in short steps, each a read of the caller's, so
    that it has a fair share of the readers and no more. What an owner asked for last is kept for a while.
    """

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by owner, while they ask
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._asking: set[str] = set()  # owners whose question is being answered
        self._kept: dict[str, _Kept] = {}  # by owner; what was asked for longest ago comes first

    async def ask(self, owner: str, message_id: str, time: datetime, query: Callable[[Sql], T]) -> T:
        """What a query found at that time; raises InvalidRequest, MessageNotFound, Unavailable."""
        if time > self._now():
            raise InvalidRequest([Violation("as_of_time", "must not be in the future")])
        turn = self._turns.setdefault(owner, asyncio.Lock())
        async with turn, self._at_once:
            self._asking.add(owner)
            try:
                replay = await self._at(_Moment(owner, message_id, time))
                return await self._log.compute(partial(replay.ask, query))
            finally:
                self._asking.discard(owner)
                self._forget_later(owner)

    async def _at(self, moment: _Moment) -> Replay:
        kept = self._kept.get(moment.owner)
        if kept is not None and kept.moment == moment:
            self._keep(self._take(moment.owner))
            return kept.replay
        self._forget(moment.owner)
        made = _Kept(moment, await self._made(moment))
        self._keep(made)
        return made.replay

    async def _made(self, moment: _Moment) -> Replay:
        replay = Replay(moment.message_id)
        try:
            async for part in events_until(self._log, *moment):
                await self._log.compute(partial(replay.apply, part))
        except BaseException:
            _let_go(replay)
            raise
        return replay

    def _keep(self, made: _Kept) -> None:
        """Keep it, in the place of what an owner whose turn it is not asked for longest ago."""
        idle = (owner for owner in self._kept if owner not in self._asking)
        if len(self._kept) >= AT_ONCE and (oldest := next(idle, None)) is not None:
            self._forget(oldest)
        self._kept[made.moment.owner] = _Kept(made.moment, made.replay)

    def _forget_later(self, owner: str) -> None:
        if owner in self._kept:
            kept = self._take(owner)
            forgetting = asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget, owner)
            self._kept[owner] = kept._replace(forgetting=forgetting)

    def _take(self, owner: str) -> _Kept:
        kept = self._kept.pop(owner)
        if kept.forgetting is not None:
            kept.forgetting.cancel()
        return kept

    def _forget(self, owner: str) -> None:
        if owner in self._kept:
            _let_go(self._take(owner).replay)

    def close(self) -> None:
        """Forget what was made; a later question has it made again."""
        for owner in list(self._kept):
            self._forget(owner)


def _let_go(replay: Replay) -> None:
    """In a thread: a question may be under way still."""
    asyncio.get_running_loop().run_in_executor(None, replay.close)
