"""Works cleanups off, a little at a time, so that sending is not held up (protocol rule 10).

How far each is stands in its read model: any process goes on with it, also after a crash. Where two do so at once, the
stream's version lets one of them through.
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

POLL_SECONDS = 5.0  # between looks for cleanups that another process began and left


class CleanupRun:
    """The part of a process that removes; it rests after each step for as long as the step took."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to work, also on what a process that died has left."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stops; another process, or the next start, goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """There is a cleanup to work off."""
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                await self.work_off()
            except Unavailable:
                logger.warning("log_away", part="cleanup")
            except Exception:
                logger.exception("cleanup_broke")
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._news.wait()
        except TimeoutError:
            pass

    async def work_off(self) -> None:
        """Works until no cleanup is left, or another process is found to work on it."""
        while (row := await self._log.read(cleanups.oldest_running)) is not None:
            begin = time.monotonic()
            if not await self._advance(row):
                return
            await asyncio.sleep(time.monotonic() - begin)

    async def _advance(self, row: CleanupRow) -> bool:
        """One step; False when another process took it. What changed meanwhile is looked at again in the next."""
        event = await self._next(row)
        commit = Commit(
            [StreamEvents(cleanup_stream(row.cleanup_id), row.version, [event])],
            guard=lambda sql: _changed_meanwhile(sql, event, row.before_time),
        )
        return not isinstance(await self._log.commit(commit), Conflict)

    async def _next(self, row: CleanupRow) -> CleanupEvent:
        if row.deliveries_total is None:
            total = await count_removable(self._log, row.before_time)
            return CleanupCounted(cleanup_id=row.cleanup_id, deliveries=total, time=self._now())
        found = await _found_after(self._log, row.before_time, row.cursor)
        if not found.parts:
            return CleanupCompleted(cleanup_id=row.cleanup_id, time=self._now())
        return DeliveriesCleaned(
            cleanup_id=row.cleanup_id,
            before=from_micros(row.before_time),
            parts=tuple(found.parts),
            time=self._now(),
        )


def _changed_meanwhile(sql: Sql, event: CleanupEvent, before: Micros) -> str | None:
    if isinstance(event, DeliveriesCleaned) and not removable_deliveries.is_unchanged(sql, before, event.parts):
        return "the deliveries changed"
    return None


async def count_removable(log: EventLog, before: Micros) -> int:
    """How many deliveries may be removed that have not changed since a time; raises Unavailable."""
    total, found = 0, RemovableParts((), CleanupCursor())
    while found.cursor is not None:
        found = await _look(log, before, found.cursor)
        total += sum(part.deliveries for part in found.parts)
    return total


async def _found_after(log: EventLog, before: Micros, cursor: CleanupCursor) -> RemovableParts:
    """The next parts; none when nothing is left."""
    found = await _look(log, before, cursor)
    while not found.parts and found.cursor is not None:
        found = await _look(log, before, found.cursor)
    return found


async def _look(log: EventLog, before: Micros, cursor: CleanupCursor) -> RemovableParts:
    """A snapshot for each look: a long one would keep the database from tidying up."""
    return await log.read(lambda sql: removable_deliveries.find_removable(sql, before, cursor))
