"""All that sends and retries by itself, started and drained together."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import structlog

from domain.errors import Unavailable
from server.background.due_rounds import DueRounds
from server.background.reconciler import Reconciler
from server.background.retry_timer import RetryTimer
from server.background.round_finalizer import RoundFinalizer
from server.cluster.page_leases import PageLeases
from server.sending.dispatcher import Dispatcher

logger = structlog.get_logger()


class DeliveryService:
    """The dispatcher, the round closer, the retry timer, the due rounds and the sweeper of one process."""

    def __init__(
        self,
        ownership: PageLeases,
        dispatcher: Dispatcher,
        closer: RoundFinalizer,
        timer: RetryTimer,
        due_rounds: DueRounds,
        sweeper: Reconciler,
    ) -> None:
        self._ownership = ownership
        self._dispatcher = dispatcher
        self._closer = closer
        self._timer = timer
        self._due_rounds = due_rounds
        self._sweeper = sweeper
        self._tasks: list[asyncio.Task[None]] = []
        self.broken = asyncio.Event()

    async def start(self) -> None:
        """Takes the lease, then starts to work."""
        await self._ownership.start()
        parts: tuple[Coroutine[Any, Any, None], ...] = (
            self._ownership.keep(),
            self._dispatcher.run(),
            self._closer.run(),
            self._timer.run(),
            self._due_rounds.run(),
            self._sweeper.run(),
        )
        self._tasks = [asyncio.create_task(part) for part in parts]
        for task in self._tasks:
            task.add_done_callback(self._look_at)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        """No part ends by itself: one that broke takes the process down, so that another takes over."""
        if not task.cancelled() and task.exception() is not None:
            logger.error("delivery_broke", exc_info=task.exception())
            self.broken.set()

    async def drain(self, grace: timedelta) -> None:
        """Lets nothing more leave, records what is in flight, and stops; what the grace cut off is taken over later."""
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._dispatcher.drain()
        except TimeoutError:
            logger.warning("drain_cut_off", grace_seconds=grace.total_seconds())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._ownership.end()
        except Unavailable:
            logger.warning("log_away", part="ownership")  # the lease runs out by itself
