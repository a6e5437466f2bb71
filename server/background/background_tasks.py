"""BackgroundTasks: everything in one process that sends and retries without a call."""

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


class BackgroundTasks:
    """Starts and drains the tasks of one process; `broken` is set when one of them fails."""

    def __init__(
        self,
        leases: PageLeases,
        dispatcher: Dispatcher,
        finalizer: RoundFinalizer,
        timer: RetryTimer,
        due_rounds: DueRounds,
        reconciler: Reconciler,
    ) -> None:
        self._leases = leases
        self._dispatcher = dispatcher
        self._finalizer = finalizer
        self._timer = timer
        self._due_rounds = due_rounds
        self._reconciler = reconciler
        self._tasks: list[asyncio.Task[None]] = []
        self.broken = asyncio.Event()

    async def start(self) -> None:
        """Take the process's lease, then start all tasks; raises Unavailable."""
        await self._leases.start()
        parts: tuple[Coroutine[Any, Any, None], ...] = (
            self._leases.keep_renewed(),
            self._dispatcher.run(),
            self._finalizer.run(),
            self._timer.run(),
            self._due_rounds.run(),
            self._reconciler.run(),
        )
        self._tasks = [asyncio.create_task(part) for part in parts]
        for task in self._tasks:
            task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        """No task ends by itself: after a failure the process ends, and another one takes over its work."""
        if not task.cancelled() and task.exception() is not None:
            logger.error("delivery_broke", exc_info=task.exception())
            self.broken.set()

    async def drain(self, grace: timedelta) -> None:
        """Stop sending, record the outcomes of requests in flight within the grace time, and end all tasks.

        Another process takes over the batches that are still open after the grace time.
        """
        try:
            async with asyncio.timeout(grace.total_seconds()):
                await self._dispatcher.drain()
        except TimeoutError:
            logger.warning("drain_cut_off", grace_seconds=grace.total_seconds())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._leases.end()
        except Unavailable:
            logger.warning("log_away", part="page_leases")  # the lease expires by itself
