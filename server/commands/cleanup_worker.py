"""Carries out cleanups in small steps, so that sending is not slowed down (protocol rule 10).

The read model of a cleanup holds its progress, so any process can continue it, also after a crash. If two processes do
so at once, the stream's version lets one of them commit.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import structlog

from domain.errors import Unavailable
from domain.retention_events import CleanupCompleted, CleanupCounted, CleanupEvent, DeliveriesCleaned
from domain.streams import cleanup_stream
from projections import cleanups, removable_deliveries
from projections.cleanups import CleanupRow
from projections.removable_deliveries import CleanupCursor, RemovableParts
from projections.sql import Micros, Sql, from_micros
from server.eventstore.commit import Commit, Conflict, EventLog, StreamEvents

logger = structlog.get_logger()

POLL_SECONDS = 5.0  # between searches for cleanups that another process started and left


class CleanupWorker:
    """A task that removes old deliveries. After each step it sleeps for as long as the step took."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._wakeup = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task; it also continues cleanups of processes that stopped."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop the task. Another process continues its cleanup, or this one after its next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Look for a cleanup now."""
        self._wakeup.set()

    async def _run(self) -> None:
        while True:
            self._wakeup.clear()
            try:
                await self.run_pending()
            except Unavailable:
                logger.warning("log_away", part="cleanup")
            except Exception:
                logger.exception("cleanup_broke")
            await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            pass

    async def run_pending(self) -> None:
        """Carry out cleanups until none is left, or until another process is found to carry one out."""
        while (row := await self._log.read(cleanups.oldest_running)) is not None:
            started = time.monotonic()
            if not await self._run_step(row):
                return
            await asyncio.sleep(time.monotonic() - started)

    async def _run_step(self, row: CleanupRow) -> bool:
        """Commit one step, or return False if another process did.

        If deliveries have changed since they were read, nothing is committed and the next step reads them again.
        """
        event = await self._next_event(row)
        commit = Commit(
            [StreamEvents(cleanup_stream(row.cleanup_id), row.version, [event])],
            guard=lambda sql: _refusal(sql, event, row.before_time),
        )
        return not isinstance(await self._log.commit(commit), Conflict)

    async def _next_event(self, row: CleanupRow) -> CleanupEvent:
        if row.deliveries_total is None:
            total = await count_removable(self._log, row.before_time)
            return CleanupCounted(cleanup_id=row.cleanup_id, deliveries=total, time=self._now())
        found = await _find_next(self._log, row.before_time, row.cursor)
        if not found.parts:
            return CleanupCompleted(cleanup_id=row.cleanup_id, time=self._now())
        return DeliveriesCleaned(
            cleanup_id=row.cleanup_id,
            before=from_micros(row.before_time),
            parts=tuple(found.parts),
            time=self._now(),
        )


def _refusal(sql: Sql, event: CleanupEvent, before: Micros) -> str | None:
    if isinstance(event, DeliveriesCleaned) and not removable_deliveries.is_unchanged(sql, before, event.parts):
        return "the deliveries changed"
    return None


async def count_removable(log: EventLog, before: Micros) -> int:
    """Return how many deliveries a cleanup of those unchanged since a time would remove; raises Unavailable."""
    total, found = 0, RemovableParts((), CleanupCursor())
    while found.cursor is not None:
        found = await _find(log, before, found.cursor)
        total += sum(part.deliveries for part in found.parts)
    return total


async def _find_next(log: EventLog, before: Micros, cursor: CleanupCursor) -> RemovableParts:
    """Return the next parts to remove; none if nothing is left."""
    found = await _find(log, before, cursor)
    while not found.parts and found.cursor is not None:
        found = await _find(log, before, found.cursor)
    return found


async def _find(log: EventLog, before: Micros, cursor: CleanupCursor) -> RemovableParts:
    """Read in a snapshot of its own: a long snapshot would keep the database from removing old row versions."""
    return await log.read(lambda sql: removable_deliveries.find_removable(sql, before, cursor))
