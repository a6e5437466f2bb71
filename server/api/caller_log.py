"""The log as calls use it: their reads share some of the readers, and never those that sending needs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeVar

from domain.event import Event
from projections.recorded import Recorded
from projections.sql import Sql
from server.api.caller import CALLER
from server.api.fair_reads import FairReads
from server.log.commit import Commit, CommitResult, EventLog, Listener

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
    ) -> Sequence[Recorded]:
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
