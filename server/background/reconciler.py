"""Sweeps up now and then what a crash or a missed wake-up left."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from domain.errors import Unavailable
from projections import message_rows
from server.background.round_finalizer import RoundFinalizer
from server.cluster.page_leases import living
from server.commands.lifecycle import CancelService
from server.commands.send_stream import StreamSendService, abandon_staged
from server.eventstore.commit import EventLog

logger = structlog.get_logger()

SWEEP_SECONDS = 5.0


class Reconciler:
    """Finds messages whose end was missed, batches that a cancel did not reach, and streams whose taker died."""

    def __init__(
        self,
        log: EventLog,
        closer: RoundFinalizer,
        cancels: CancelService,
        streams: StreamSendService,
        worker: str,
        now: Callable[[], datetime],
    ) -> None:
        self._log = log
        self._closer = closer
        self._cancels = cancels
        self._streams = streams
        self._worker = worker
        self._now = now

    async def run(self) -> None:
        """Sweeps at once and then every few seconds, until it is cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable:
                logger.warning("log_away", part="sweeper")
            except Exception:
                logger.exception("sweep_broke")
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """One sweep."""
        for query in (message_rows.unfinished, message_rows.with_canary, message_rows.changed_late):
            for message_id in await self._log.read(query):
                self._closer.look_at(message_id)
        for message_id in await self._log.read(message_rows.cancelled_with_pending):
            await self._cancels.cancel_batches(message_id)
        await self._abandon_orphans()

    async def _abandon_orphans(self) -> None:
        alive = await self._log.read(living)
        for message_id, worker in await self._log.read(message_rows.staged):
            is_alive = self._streams.is_live(message_id) if worker == self._worker else worker in alive
            cause = "nobody takes the stream any more"
            if not is_alive and await abandon_staged(self._log, message_id, cause, self._now()):
                logger.info("stream_abandoned", message=message_id, worker=worker)
