"""Reconciler: completes what a crash or a missed event left unfinished."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from domain.errors import Unavailable
from projections import message_rows
from server.background.round_finalizer import RoundFinalizer
from server.cluster.page_leases import live_processes
from server.commands.lifecycle import CancelService
from server.commands.send_stream import StreamSendService, abandon_staged
from server.eventstore.commit import EventLog

logger = structlog.get_logger()

RECONCILE_SECONDS = 5.0


class Reconciler:
    """Finds rounds that were not finalized, batches that a cancel missed, and send streams of dead processes."""

    def __init__(
        self,
        log: EventLog,
        finalizer: RoundFinalizer,
        cancels: CancelService,
        streams: StreamSendService,
        worker: str,
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._finalizer = finalizer
        self._cancels = cancels
        self._streams = streams
        self._worker = worker
        self._now = now

    async def run(self) -> None:
        """Reconcile at once and then every RECONCILE_SECONDS, until cancelled."""
        while True:
            try:
                await self.reconcile()
            except Unavailable:
                logger.warning("log_away", part="reconciler")
            except Exception:
                logger.exception("sweep_broke")
            await asyncio.sleep(RECONCILE_SECONDS)

    async def reconcile(self) -> None:
        """Check all messages once; raises Unavailable."""
        for query in (message_rows.unfinished, message_rows.with_canary, message_rows.changed_late):
            for message_id in await self._log.read(query):
                self._finalizer.enqueue(message_id)
        for message_id in await self._log.read(message_rows.cancelled_with_pending):
            await self._cancels.cancel_batches(message_id)
        await self._abandon_orphaned_streams()

    async def _abandon_orphaned_streams(self) -> None:
        alive = await self._log.read(live_processes)
        for message_id, worker in await self._log.read(message_rows.staged):
            receives = self._streams.is_open(message_id) if worker == self._worker else worker in alive
            cause = "the process that received the stream has stopped"
            if not receives and await abandon_staged(self._log, message_id, cause, self._now()):
                logger.info("stream_abandoned", message=message_id, worker=worker)
