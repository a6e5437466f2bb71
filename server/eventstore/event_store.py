"""The event store: one thread writes to the database, several threads read, and listeners receive new events."""

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
from server.eventstore.commit import OLDER_RELEASE_RUNS, Commit, CommitResult, Listener, Refused
from server.eventstore.follower import Follower
from server.eventstore.group_commit import GroupCommit, WriteResult
from server.eventstore.store import READERS, Interruption, ReadInterrupted, Store

logger = structlog.get_logger()

T = TypeVar("T")

STOP_SECONDS = 2.0  # to wait for a cancelled read to stop; then its thread stays busy until the database answers
REPEAT_STOP_SECONDS = 0.1  # a request to stop has no effect between two statements, so it is repeated
RETRY_AFTER = timedelta(seconds=1)
OLDER_RELEASE_RETRY_AFTER = timedelta(minutes=1)  # operators upgrade the servers: clients should not wait for that


class EventStore:
    """The EventLog over a Store, which it closes.

    If other processes write too, listeners get events from a follower, which sees the events of all processes.
    Otherwise they get them from the writer.
    """

    def __init__(self, store: Store, follower: Follower | None = None) -> None:
        self._store = store
        self._follower = follower
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="log-reader")
        self._listeners: list[Listener] = []
        self._is_closed = False
        self._unavailable_at = 0.0  # when a read last found the database unavailable, on the monotonic clock
        self._writer = GroupCommit(self._write, self._publish if follower is None else follower.publish_own)

    async def __aenter__(self) -> Self:
        if self._follower is not None:
            await self._follower.start(self._publish)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Write the commits that wait, then close the store."""
        self._is_closed = True
        await self._writer.close()
        if self._follower is not None:
            await self._follower.close()
        await asyncio.to_thread(self._readers.shutdown)
        self._store.close()

    def listen(self, listener: Listener) -> None:
        """Call the listener in the event loop with the events of each commit, once they are durable."""
        self._listeners.append(listener)

    def _publish(self, recorded: Sequence[RecordedEvent]) -> None:
        for listener in self._listeners:
            listener(recorded)

    async def commit(self, commit: Commit) -> CommitResult:
        """Write a commit, in one transaction with others that wait; raises Unavailable, also as OlderReleaseRunning."""
        self._check_open()
        result = await self._writer.commit(commit)
        if isinstance(result, Refused) and result.cause == OLDER_RELEASE_RUNS:
            raise OlderReleaseRunning(OLDER_RELEASE_RETRY_AFTER)
        return result

    async def write(self, change: Callable[[Sql], T]) -> T:
        """Change operational tables as a commit without events, and return the change's result; raises Unavailable."""
        results: list[T] = []  # more than one if the change ran again after a rollback: the last one counts
        await self.commit(Commit([], also=lambda sql: results.append(change(sql))))
        return results[-1]

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """Return the events of a stream: all, or the first `limit`; raises Unavailable."""
        return await self._in_reader(lambda: self._store.load(stream, limit))

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """Return the events of some streams in the log's order, after a position; raises Unavailable."""
        return await self._in_reader(lambda: self._store.recorded_in(streams, after, limit))

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Run a query in its own snapshot, and stop it when the caller is cancelled; raises Unavailable."""
        interruption = Interruption()
        return await self._in_reader(lambda: self._query(query, interruption), interruption)

    def _query(self, query: Callable[[Sql], T], interruption: Interruption) -> T:
        with self._store.interruptible(interruption) as sql:
            return query(sql)

    async def compute(self, work: Callable[[], T]) -> T:
        """Run a computation in a reader thread; raises Unavailable when the event store is closed."""
        return await self._in_reader(work)

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("the log is closed", RETRY_AFTER)

    async def _in_reader(self, work: Callable[[], T], interruption: Interruption | None = None) -> T:
        """Run the work in a reader thread; when cancelled, return once the thread is free, or after STOP_SECONDS."""
        self._check_open()
        interruption = interruption or Interruption()
        running = self._readers.submit(self._run_read, work, time.monotonic(), interruption)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.done():
                await _stop(running, interruption)
            raise

    def _run_read(self, work: Callable[[], T], submitted_at: float, interruption: Interruption) -> T:
        """Run a read in this thread; fail at once if the database was found unavailable while the read waited."""
        if submitted_at < self._unavailable_at:
            raise Unavailable("the log cannot be used now", RETRY_AFTER)
        try:
            return work()
        except self._store.unavailable_errors as error:
            if interruption.is_requested:
                raise ReadInterrupted from error
            self._unavailable_at = time.monotonic()
            raise _unavailable(error) from error

    def _write(self, group: Sequence[Commit]) -> Sequence[WriteResult]:
        """Write a group in one transaction; if that fails, each commit in its own, so that one cannot fail another."""
        try:
            return self._store.write_together(group)
        except self._store.unavailable_errors as error:
            return [WriteResult(_unavailable(error))] * len(group)
        except Exception:  # noqa: BLE001 - writing the commits one by one raises it again for the commit that caused it
            return [self._write_alone(commit) for commit in group]

    def _write_alone(self, commit: Commit) -> WriteResult:
        try:
            return self._store.write_together([commit])[0]
        except self._store.unavailable_errors as error:
            return WriteResult(_unavailable(error))
        except Exception as error:  # noqa: BLE001 - raised to the caller of this commit
            return WriteResult(error)


async def _stop(running: Future[T], interruption: Interruption) -> None:
    """Stop a read and wait until its thread is free, at most STOP_SECONDS; its result is dropped."""
    ended = asyncio.wrap_future(running)
    until = time.monotonic() + STOP_SECONDS
    while not ended.done() and time.monotonic() < until:
        await asyncio.to_thread(interruption.request)
        await asyncio.wait([ended], timeout=REPEAT_STOP_SECONDS)
    if ended.done() and not ended.cancelled():
        ended.exception()  # marks it as retrieved, so that asyncio does not log it
    else:
        ended.cancel()


def _unavailable(error: Exception) -> Unavailable:
    """Log the database's error, and return one for the caller that does not contain its text."""
    logger.warning("database_away", error=type(error).__name__, words=str(error))
    return Unavailable("the log cannot be used now", RETRY_AFTER)
