"""CleanupDeliveries: starts a cleanup, or says what one would remove, and tells how far one is."""

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
from server.commands.cleanup_run import CleanupRun, count_removable
from server.commands.idempotency import PayloadHash, first_answer, stamp_for
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents

METHOD = "CleanupDeliveries"
REDOS = 20
WAIT_SECONDS = 3.0  # for a cleanup that is soon done


class CleanupService:
    """Cleanups, as their callers see them; `run` is the part of this process that works them off."""

    def __init__(self, log: EventLog, run: CleanupRun, now: Callable[[], datetime]) -> None:
        self._log = log
        self._run = run
        self._now = now
        self._waiting: dict[str, asyncio.Event] = {}
        log.listen(self._hear)

    async def would_remove(self, command: CleanupDeliveries) -> int:
        """How many deliveries a cleanup would remove; raises Unavailable."""
        return await count_removable(self._log, micros(self._before(command)))

    async def clean(self, command: CleanupDeliveries) -> CleanupRow:
        """Starts a cleanup and waits a little for its end; raises RequestIdReused, Aborted, Unavailable."""
        cleanup_id = await self._started(command)
        done = self._waiting.setdefault(cleanup_id, asyncio.Event())
        self._run.wake()
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                if not (await self.find(cleanup_id)).is_done:
                    await done.wait()
        except TimeoutError:
            pass  # it goes on by itself
        finally:
            self._waiting.pop(cleanup_id, None)
        return await self.find(cleanup_id)

    async def find(self, cleanup_id: str) -> CleanupRow:
        """How far a cleanup is; raises CleanupNotFound, Unavailable."""
        row = await self._log.read(lambda sql: cleanups.find(sql, cleanup_id))
        if row is None:
            raise CleanupNotFound(cleanup_id)
        return row

    def _before(self, command: CleanupDeliveries) -> datetime:
        return self._now() - timedelta(days=command.older_than_days)

    async def _started(self, command: CleanupDeliveries) -> str:
        """The id of the cleanup that this request started, now or before."""
        stamp = stamp_for(METHOD, command, PayloadHash(command).hexdigest())
        for _ in range(REDOS):
            if (answered := await first_answer(self._log, stamp)) is not None:
                return str(answered.answer["cleanup_id"])
            started = self._start(command, stamp)
            commit = Commit([StreamEvents(cleanup_stream(started.cleanup_id), 0, [started])])
            if isinstance(await self._log.commit(commit), Committed):
                return started.cleanup_id
        raise Aborted("another request with this request_id is under way", request_id=command.request_id)

    def _start(self, command: CleanupDeliveries, stamp: RequestStamp | None) -> CleanupStarted:
        cleanup_id = str(uuid4())
        return CleanupStarted(
            cleanup_id=cleanup_id,
            requested_by=command.owner,
            before=self._before(command),
            request=stamp and msgspec.structs.replace(stamp, answer={"cleanup_id": cleanup_id}),
            time=self._now(),
        )

    def _hear(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            if isinstance(one.event, CleanupCompleted) and one.event.cleanup_id in self._waiting:
                self._waiting[one.event.cleanup_id].set()
