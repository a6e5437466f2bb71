"""Appends to the stream of one claimed batch (protocol rule 1, protocol rule 16)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any, TypeVar

import structlog

from domain.batch import Batch, apply, fold
from domain.batch_decisions import Events, record_late
from domain.batch_events import RecordedOutcome
from domain.errors import Unavailable
from domain.streams import batch_stream
from projections.sql import Sql
from server.eventstore.commit import Commit, CommitResult, Committed, EventLog, Refused, StreamEvents

logger = structlog.get_logger()

T = TypeVar("T")

FIRST_PAUSE = 0.1  # seconds between two tries while the event store is unavailable; doubles up to LONGEST_PAUSE
LONGEST_PAUSE = 2.0


class AppendResult(Enum):
    """The result of one append that no guard refused."""

    DONE = auto()
    NOTHING_TO_DO = auto()
    CLAIM_LOST = auto()


Decide = Callable[[Batch], Events]
Guard = Callable[[Sql], Any]


class BatchLog:
    """Appends the events of one batch, one append at a time.

    After a conflict it reloads the batch and decides again, as long as the claim is still its own.
    """

    def __init__(self, log: EventLog, batch: Batch, now: Callable[[], datetime]) -> None:
        if batch.claim is None:
            raise ValueError("the batch is not claimed")
        self._log = log
        self.batch = batch
        self._claim = batch.claim.number
        self._stream = batch_stream(batch.message_id, batch.stage, batch.number)
        self._lock = asyncio.Lock()
        self._now = now

    async def append(self, decide: Decide, guard: Guard | None = None) -> AppendResult | Refused:
        """Append the events that `decide` returns for the current batch; wait while the event store is unavailable."""
        async with self._lock:
            while True:
                if self.batch.claim is None or self.batch.claim.number != self._claim:
                    return AppendResult.CLAIM_LOST
                events = decide(self.batch)
                if not events:
                    return AppendResult.NOTHING_TO_DO
                result = await self._commit(events, guard)
                if isinstance(result, Refused):
                    return result
                if isinstance(result, Committed):
                    self.batch = apply(self.batch, events)
                    return AppendResult.DONE
                await self._reload()

    async def append_late(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Record outcomes of requests whose claim was lost, so that no reply is discarded."""
        async with self._lock:
            while True:
                await self._reload()
                events = record_late(self.batch, outcomes, now=self._now())
                if not events or isinstance(await self._commit(events, None), Committed):
                    return

    async def _reload(self) -> None:
        self.batch = fold(await self._retry_while_unavailable(lambda: self._log.load(self._stream)))

    async def _commit(self, events: Events, guard: Guard | None) -> CommitResult:
        commit = Commit([StreamEvents(self._stream, self.batch.version, events)], guard=guard)
        return await self._retry_while_unavailable(lambda: self._log.commit(commit))

    async def _retry_while_unavailable(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat until the event store answers; known outcomes stay in memory until then."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await work()
            except Unavailable:
                logger.warning("log_away", message=self.batch.message_id, batch=self.batch.number, pause=pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
