"""One worker's writing to one batch's stream, under its claim (protocol rule 1, protocol rule 16)."""

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

FIRST_PAUSE = 0.1  # seconds between tries while the log is away; doubles up to the longest
LONGEST_PAUSE = 2.0


class Written(Enum):
    """What became of one append."""

    DONE = auto()
    NOTHING_TO_DO = auto()
    CLAIM_LOST = auto()


Decide = Callable[[Batch], Events]
Guard = Callable[[Sql], Any]


class BatchLog:
    """Appends one command after another; on a conflict it reloads, and goes on while the claim is still its own."""

    def __init__(self, log: EventLog, batch: Batch, now: Callable[[], datetime]) -> None:
        if batch.claim is None:
            raise ValueError("only a claimed batch is written to")
        self._log = log
        self.batch = batch
        self._claim = batch.claim.number
        self._stream = batch_stream(batch.message_id, batch.stage, batch.number)
        self._lock = asyncio.Lock()
        self._now = now

    async def append(self, decide: Decide, guard: Guard | None = None) -> Written | Refused:
        """Appends what is decided on the batch as it stands; waits while the log is away."""
        async with self._lock:
            while True:
                if self.batch.claim is None or self.batch.claim.number != self._claim:
                    return Written.CLAIM_LOST
                events = decide(self.batch)
                if not events:
                    return Written.NOTHING_TO_DO
                result = await self._commit(events, guard)
                if isinstance(result, Refused):
                    return result
                if isinstance(result, Committed):
                    self.batch = apply(self.batch, events)
                    return Written.DONE
                await self._reload()

    async def append_late(self, outcomes: Sequence[RecordedOutcome]) -> None:
        """Records what is known of requests whose claim was lost: a reply that was seen is never thrown away."""
        async with self._lock:
            while True:
                await self._reload()
                events = record_late(self.batch, outcomes, now=self._now())
                if not events or isinstance(await self._commit(events, None), Committed):
                    return

    async def _reload(self) -> None:
        self.batch = fold(await self._patiently(lambda: self._log.load(self._stream)))

    async def _commit(self, events: Events, guard: Guard | None) -> CommitResult:
        commit = Commit([StreamEvents(self._stream, self.batch.version, events)], guard=guard)
        return await self._patiently(lambda: self._log.commit(commit))

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Outcomes that are known wait in memory until the log can be written again."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await work()
            except Unavailable:
                logger.warning("log_away", message=self.batch.message_id, batch=self.batch.number, pause=pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
