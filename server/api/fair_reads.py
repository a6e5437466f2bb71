"""Fair sharing of the log's readers between calling owners: one owner's heavy reads delay no other owner."""

import asyncio
import itertools
from bisect import insort
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from contextvars import ContextVar
from datetime import timedelta
from typing import NamedTuple, TypeVar

from domain.event import Event, RecordedEvent
from projections.sql import Sql
from server.api.caller import CALLER
from server.api.errors import Exhausted
from server.eventstore.commit import Commit, CommitResult, EventLog, Listener
from server.eventstore.store import READERS

CALLER_READS = READERS // 2  # at a time, of all callers; the other readers serve the service itself, as for sending
MAX_WAITING_READS = 2_000  # of one owner: as many as its calls in a burst
MAX_WAIT_SECONDS = 20.0  # for a reader: less than the 30 s that the client waits for a response
RETRY_AFTER = timedelta(seconds=1)

T = TypeVar("T")

_CALL: ContextVar[int] = ContextVar("call")  # the number of the call; gRPC runs each call in a context of its own


class TooManyReads(Exhausted):
    """The owner's reads use its whole share of the readers, and too many wait or one waited too long."""

    reason = "TOO_MANY_READS"


class _WaitingRead(NamedTuple):
    call: int  # the number of its call
    started: asyncio.Future[None]


class FairReads:
    """A fair limiter of callers' reads, for one event loop.

    An owner may have as many reads running as slots are free: of 4 slots, one owner fills 2, and the next owner finds
    a free one. Further reads of an owner wait, those of its earlier calls first. A slot that becomes free goes to the
    waiting owners in turn.
    """

    def __init__(
        self,
        slots: int = CALLER_READS,
        *,
        max_waiting: int = MAX_WAITING_READS,
        max_wait_seconds: float = MAX_WAIT_SECONDS,
    ) -> None:
        self._free = slots
        self._max_waiting = max_waiting
        self._max_wait_seconds = max_wait_seconds
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, list[_WaitingRead]] = {}  # by owner: the next owner to serve comes first
        self._calls = itertools.count()

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Hold a slot for the block; raises TooManyReads if the wait is too long or too many reads wait."""
        await self._acquire(owner)
        try:
            yield
        finally:
            self._release(owner)

    async def _acquire(self, owner: str) -> None:
        if owner not in self._waiting and self._may_run(owner):
            self._start(owner)
            return
        read = self._enqueue(owner)
        try:
            async with asyncio.timeout(self._max_wait_seconds):
                await read.started
        except TimeoutError:
            self._leave(owner, read)
            raise TooManyReads(
                f"the read waited {self._max_wait_seconds:g} s for other reads of the same owner", RETRY_AFTER
            ) from None
        except asyncio.CancelledError:
            self._leave(owner, read)
            raise

    def _may_run(self, owner: str) -> bool:
        return self._running[owner] < self._free

    def _start(self, owner: str) -> None:
        self._free -= 1
        self._running[owner] += 1

    def _release(self, owner: str) -> None:
        self._free += 1
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        while (served := next(filter(self._may_run, self._waiting), None)) is not None:
            self._serve(served)

    def _serve(self, owner: str) -> None:
        """Start the owner's next read, and move the owner behind the other waiting owners.

        A read that was cancelled in this iteration of the event loop is still in the queue.
        """
        queue = self._waiting.pop(owner)
        started = queue.pop(0).started
        if queue:
            self._waiting[owner] = queue
        if not started.done():
            started.set_result(None)
            self._start(owner)

    def _enqueue(self, owner: str) -> _WaitingRead:
        """Enqueue a read behind those of the owner's earlier calls; a call with several reads keeps its place."""
        queue = self._waiting.setdefault(owner, [])
        if len(queue) >= self._max_waiting:
            raise TooManyReads(f"more than {self._max_waiting:,} reads of the same owner are waiting", RETRY_AFTER)
        read = _WaitingRead(self._call_number(), asyncio.get_running_loop().create_future())
        insort(queue, read, key=lambda waiting: waiting.call)
        return read

    def _call_number(self) -> int:
        """Return the number of the current call; its first waiting read assigns the number."""
        if (number := _CALL.get(None)) is None:
            number = next(self._calls)
            _CALL.set(number)
        return number

    def _leave(self, owner: str, read: _WaitingRead) -> None:
        """Stop waiting; a slot that was assigned at the same moment is returned."""
        if read.started.done() and not read.started.cancelled():
            self._release(owner)
            return
        queue = self._waiting.get(owner, [])
        if read in queue:
            queue.remove(read)
            if not queue:
                del self._waiting[owner]


class CallerLog:
    """The EventLog of calls: every read takes a slot of the caller's owner, and can raise TooManyReads too.

    Work outside a call takes no slot. Neither do commits: one thread writes them in groups, and a group contains the
    waiting commits of all callers.
    """

    def __init__(self, log: EventLog, reads: FairReads | None = None) -> None:
        self._log = log
        self._reads = reads or FairReads()

    def _slot(self) -> AbstractAsyncContextManager[None]:
        caller = CALLER.get(None)
        return nullcontext() if caller is None else self._reads.slot(caller.owner)

    async def commit(self, commit: Commit) -> CommitResult:
        """Write a commit, in a group with other waiting commits; raises Unavailable."""
        return await self._log.commit(commit)

    async def write(self, change: Callable[[Sql], T]) -> T:
        """Change operational tables; raises Unavailable."""
        return await self._log.write(change)

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        """Return the events of a stream in order, all or the first few; raises Unavailable."""
        async with self._slot():
            return await self._log.load(stream, limit=limit)

    async def recorded_in(
        self, streams: Sequence[str], *, after: int = 0, limit: int | None = None
    ) -> Sequence[RecordedEvent]:
        """Return the events of some streams in the log's order, after a position; raises Unavailable."""
        async with self._slot():
            return await self._log.recorded_in(streams, after=after, limit=limit)

    async def read(self, query: Callable[[Sql], T]) -> T:
        """Run a query in a snapshot of its own; raises Unavailable."""
        async with self._slot():
            return await self._log.read(query)

    async def compute(self, work: Callable[[], T]) -> T:
        """Run work on rows that were read, in a reader's thread."""
        async with self._slot():
            return await self._log.compute(work)

    def listen(self, listener: Listener) -> None:
        """Call the listener with what each commit recorded."""
        self._log.listen(listener)
