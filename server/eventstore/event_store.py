"""The log over a store: one thread writes, some threads read, and whoever listens hears what was recorded."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Self, TypeVar

import structlog

from domain.errors import OlderReleaseRunning, Unavailable
from domain.event import Event, RecordedEvent
from projections.sql import Sql
from server.eventstore.commit import OLDER_RELEASE_LIVES, Commit, CommitResult, Listener, Refused
from server.eventstore.follower import Follower
from server.eventstore.group_commit import GroupCommit, Written
from server.eventstore.store import READERS, Interruption, ReadInterrupted, Store

logger = structlog.get_logger()

T = TypeVar("T")

STOP_SECONDS = 2.0  # that a cancelled read is waited for; its reader is busy no longer than its database is silent
ASK_AGAIN_SECONDS = 0.1  # a request to stop between two statements stops neither
RETRY_AFTER = timedelta(seconds=1)
OLDER_RELEASE_AGAIN = timedelta(minutes=1)  # people are renewing servers: no client is to wait for them


class EventStore:
    """See EventLog. The store is closed with the log.

    Where other processes write too, a follower tells what was recorded, by whomever; else the writer itself does.
    """

    def __init__(self, store: Store, follower: Follower | None = None) -> None:
        self._store = store
        self._follower = follower
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="log-reader")
        self._listeners: list[Listener] = []
        self._is_closed = False
        self._away_at = 0.0  # when a question found the database away, on the monotonic clock
        self._writer = GroupCommit(self._write, self._publish if follower is None else follower.tell)

    async def __aenter__(self) -> Self:
        if self._follower is not None:
            await self._follower.start(self._publish)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Writes what waits, then lets the database go."""
        self._is_closed = True
        await self._writer.close()
        if self._follower is not None:
            await self._follower.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._store.close()

    def listen(self, listener: Listener) -> None:
        """Calls the listener in the event loop with what each commit recorded."""
        self._listeners.append(listener)

    def _publish(self, recorded: Sequence[RecordedEvent]) -> None:
        for listener in self._listeners:
            listener(recorded)

    async def commit(self, commit: Commit) -> CommitResult:
        """Writes it, together with whatever else waits; raises Unavailable, OlderReleaseRunning among them."""
        self._check_open()
        result = await self._writer.commit(commit)
        if isinstance(result, Refused) and result.cause == OLDER_RELEASE_LIVES:
            raise OlderReleaseRunning(OLDER_RELEASE_AGAIN)
        return result

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """The events of a stream; raises Unavailable."""
        return await self._in_reader(lambda: self._store.load(stream, limit))

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """The events of some streams in the log's order; raises Unavailable."""
        return await self._in_reader(lambda: self._store.recorded_in(streams, after, limit))

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Run a query in a snapshot, and stop it when the caller is cancelled; raises Unavailable."""
        interruption = Interruption()
        return await self._in_reader(lambda: self._query(query, interruption), interruption)

    def _query(self, query: Callable[[Sql], T], interruption: Interruption) -> T:
        with self._store.interruptible(interruption) as sql:
            return query(sql)

    async def compute(self, work: Callable[[], T]) -> T:
        """Run in a reader's thread what is made of what was read; raises Unavailable when the log is closed."""
        return await self._in_reader(work)

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("the log is closed", RETRY_AFTER)

    async def _in_reader(self, work: Callable[[], T], interruption: Interruption | None = None) -> T:
        """Run the work; when cancelled, return once its reader is free, or after STOP_SECONDS."""
        self._check_open()
        interruption = interruption or Interruption()
        running = self._readers.submit(self._look, work, time.monotonic(), interruption)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.done():
                await _stopped(running, interruption)
            raise

    def _look(self, work: Callable[[], T], asked: float, interruption: Interruption) -> T:
        """Whoever waited for a thread while the database was found to be away has waited long enough."""
        if asked < self._away_at:
            raise Unavailable("the log cannot be used now", RETRY_AFTER)
        try:
            return work()
        except self._store.away as error:
            if interruption.is_asked:
                raise ReadInterrupted from error
            self._away_at = time.monotonic()
            raise _unavailable(error) from error

    def _write(self, group: Sequence[Commit]) -> Sequence[Written]:
        """All in one transaction; when that fails, each in one of its own, so that one cannot spoil another."""
        try:
            return self._store.write_together(group)
        except self._store.away as error:
            return [Written(_unavailable(error))] * len(group)
        except Exception:  # noqa: BLE001 - whatever it was, each commit meets it again alone
            return [self._write_alone(commit) for commit in group]

    def _write_alone(self, commit: Commit) -> Written:
        try:
            return self._store.write_together([commit])[0]
        except self._store.away as error:
            return Written(_unavailable(error))
        except Exception as error:  # noqa: BLE001 - handed to the one who waits for it
            return Written(error)


async def _stopped(running: Future[T], interruption: Interruption) -> None:
    """Wait until the thread has stopped; what it found is not wanted any more."""
    ended = asyncio.wrap_future(running)
    until = time.monotonic() + STOP_SECONDS
    while not ended.done() and time.monotonic() < until:
        await asyncio.to_thread(interruption.ask)
        await asyncio.wait([ended], timeout=ASK_AGAIN_SECONDS)
    if ended.done() and not ended.cancelled():
        ended.exception()  # it was asked for
    else:
        ended.cancel()


def _unavailable(error: Exception) -> Unavailable:
    """A database that cannot be used now is not the caller's fault; its own words stay in our log."""
    logger.warning("database_away", error=type(error).__name__, words=str(error))
    return Unavailable("the log cannot be used now", RETRY_AFTER)
