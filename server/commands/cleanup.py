"""CleanupDeliveries: starts a cleanup, and returns its progress."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec

from domain.commands import CleanupDeliveries
from domain.errors import Aborted, CleanupNotFound
from domain.event import RecordedEvent, RequestStamp
from domain.retention_events import CleanupCompleted, CleanupStarted
from domain.streams import cleanup_stream
from projections import cleanups
from projections.cleanups import CleanupRow
from projections.sql import micros
from server.commands.cleanup_worker import CleanupWorker, count_removable
from server.commands.decisions import Decision, append, commit_once
from server.commands.idempotency import PayloadHash, stamp_for
from server.eventstore.commit import EventLog

METHOD = "CleanupDeliveries"
WAIT_SECONDS = 3.0  # for the end of a short cleanup


class CleanupService:
    """Starts cleanups for callers; `worker` carries them out in this process."""

    def __init__(self, log: EventLog, worker: CleanupWorker, now: Callable[[], datetime]) -> None:
        self._log = log
        self._worker = worker
        self._now = now
        self._waiting: dict[str, asyncio.Event] = {}
        log.listen(self._on_events)

    async def count_removable(self, command: CleanupDeliveries) -> int:
        """Return how many deliveries a cleanup would remove; raises Unavailable."""
        return await count_removable(self._log, micros(self._before(command)))

    async def start(self, command: CleanupDeliveries) -> CleanupRow:
        """Start a cleanup, and wait up to 3 seconds for its end; raises RequestIdReused, Aborted, Unavailable."""
        cleanup_id = await self._start(command)
        done = self._waiting.setdefault(cleanup_id, asyncio.Event())
        self._worker.wake()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                if not (await self.find(cleanup_id)).is_done:
                    await done.wait()
        except TimeoutError:
            pass  # the worker continues
        finally:
            self._waiting.pop(cleanup_id, None)
        return await self.find(cleanup_id)

    async def find(self, cleanup_id: str) -> CleanupRow:
        """Return a cleanup with its progress; raises CleanupNotFound, Unavailable."""
        row = await self._log.read(lambda sql: cleanups.find(sql, cleanup_id))
        if row is None:
            raise CleanupNotFound(cleanup_id)
        return row

    def _before(self, command: CleanupDeliveries) -> datetime:
        return self._now() - timedelta(days=command.older_than_days)

    async def _start(self, command: CleanupDeliveries) -> str:
        """Return the id of the cleanup that this request started, now or before."""
        stamp = stamp_for(METHOD, command, PayloadHash(command).hexdigest())

        async def decision() -> Decision[str]:
            started = self._started(command, stamp)
            return Decision(started.cleanup_id, append(cleanup_stream(started.cleanup_id), 0, [started]))

        aborted = Aborted("another request with this request_id is under way", request_id=command.request_id)
        return await commit_once(self._log, stamp, decision, lambda answer: str(answer["cleanup_id"]), aborted)

    def _started(self, command: CleanupDeliveries, stamp: RequestStamp | None) -> CleanupStarted:
        cleanup_id = str(uuid4())
        return CleanupStarted(
            cleanup_id=cleanup_id,
            requested_by=command.owner,
            before=self._before(command),
            request=stamp and msgspec.structs.replace(stamp, answer={"cleanup_id": cleanup_id}),
            time=self._now(),
        )

    def _on_events(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            if isinstance(one.event, CleanupCompleted) and one.event.cleanup_id in self._waiting:
                self._waiting[one.event.cleanup_id].set()
