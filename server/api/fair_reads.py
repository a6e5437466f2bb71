"""Share the log's readers fairly between the owners who call: one owner's heavy reads delay no other owner."""

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
from server.api.interceptors.limits import Exhausted
from server.eventstore.commit import Commit, CommitResult, EventLog, Listener
from server.eventstore.store import READERS

CALLER_READS = READERS // 2  # at a time, of all callers; the other readers are the service's own, for sending
WAITING_READS = 2_000  # of one owner: as many as its calls in a burst
WAIT_SECONDS = 20.0  # for a reader: below the 30 s that the client waits for an answer
RETRY_AFTER = timedelta(seconds=1)

_CALL: ContextVar[int] = ContextVar("call")  # which call reads; every call is answered in a context of its own


class TooManyReads(Exhausted):
    """The owner's reads fill its share of the readers, and more of them wait than may."""

    reason = "TOO_MANY_READS"


class _Turn(NamedTuple):
    """A read that waits."""

    call: int
    begins: asyncio.Future[None]


class FairReads:
    """FairConcurrencyLimiter for callers' reads.

    An owner may have as many reads running as slots are free: of 4 slots, one owner fills 2, and the next owner finds
    a free one. Further reads of an owner wait, those of its earlier calls first; a slot that becomes free goes to the
    owners in turn. Belongs to one event loop.
    """

    def __init__(
        self, slots: int = CALLER_READS, *, most_waiting: int = WAITING_READS, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._free = slots
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, list[_Turn]] = {}  # by owner; whose turn is next comes first
        self._calls = itertools.count()

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Hold a slot for the block; raises TooManyReads after too long a wait, or when too many reads wait."""
        await self._take(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    async def _take(self, owner: str) -> None:
        if owner not in self._waiting and self._may_run(owner):
            self._start(owner)
            return
        turn = self._join(owner)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn.begins
        except TimeoutError:
            self._leave(owner, turn)
            raise TooManyReads(
                f"the read waited {self._wait_seconds:g} s behind others of yours", RETRY_AFTER
            ) from None
        except asyncio.CancelledError:
            self._leave(owner, turn)
            raise

    def _may_run(self, owner: str) -> bool:
        return self._running[owner] < self._free

    def _start(self, owner: str) -> None:
        self._free -= 1
        self._running[owner] += 1

    def _give_back(self, owner: str) -> None:
        self._free += 1
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        while (served := next(filter(self._may_run, self._waiting), None)) is not None:
            self._serve(served)

    def _serve(self, owner: str) -> None:
        """Start the owner's next read; the owner's next turn comes after all others'.

        A read that was cancelled in this turn of the event loop is still in the queue.
        """
        queue = self._waiting.pop(owner)
        begins = queue.pop(0).begins
        if queue:
            self._waiting[owner] = queue
        if not begins.done():
            begins.set_result(None)
            self._start(owner)

    def _join(self, owner: str) -> _Turn:
        """Wait behind the owner's earlier calls; a call that makes several reads keeps its place."""
        queue = self._waiting.setdefault(owner, [])
        if len(queue) >= self._most_waiting:
            raise TooManyReads(f"more than {self._most_waiting:,} of your reads wait", RETRY_AFTER)
        turn = _Turn(self._call(), asyncio.get_running_loop().create_future())
        insort(queue, turn, key=lambda waiting: waiting.call)
        return turn

    def _call(self) -> int:
        """Return the number of the call that this task answers; it is given with the call's first read that waits."""
        if (number := _CALL.get(None)) is None:
            number = next(self._calls)
            _CALL.set(number)
        return number

    def _leave(self, owner: str, turn: _Turn) -> None:
        """Give up waiting; a slot that was handed over at the same moment is given back."""
        if turn.begins.done() and not turn.begins.cancelled():
            self._give_back(owner)
            return
        queue = self._waiting.get(owner, [])
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[owner]


# The log as calls use it: their reads share some of the readers, and never those that sending needs.


T = TypeVar("T")


class CallerLog:
    """See EventLog; every read takes a slot of the caller's owner, and raises TooManyReads too.

    The service's own work, which no call asked for, passes by the slots. So do commits: one thread writes them, in
    groups, and a group takes what waits for any caller.
    """

    def __init__(self, log: EventLog, reads: FairReads | None = None) -> None:
        self._log = log
        self._reads = reads or FairReads()

    def _slot(self) -> AbstractAsyncContextManager[None]:
        caller = CALLER.get(None)
        return nullcontext() if caller is None else self._reads.slot(caller.owner)

    async def commit(self, commit: Commit) -> CommitResult:
        """Write it, together with whatever else waits; raises Unavailable."""
        return await self._log.commit(commit)

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
        """Run in a reader's thread what is made of what was read."""
        async with self._slot():
            return await self._log.compute(work)

    def listen(self, listener: Listener) -> None:
        """Call the listener with what each commit recorded."""
        self._log.listen(listener)
