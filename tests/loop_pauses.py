"""Measures how long the event loop is blocked."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LoopPauses:
    """Longest time that the loop's thread ran without yielding, in seconds of its own CPU time.

    Wall-clock time would include the time of other processes.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def measure(self) -> None:
        """Record each pause until cancelled."""
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now


@asynccontextmanager
async def loop_pauses() -> AsyncIterator[LoopPauses]:
    """Measure the loop's pauses while the block runs."""
    gc.collect()
    gc.disable()  # its pauses depend on objects that earlier tests left
    pauses = LoopPauses()
    measuring = asyncio.create_task(pauses.measure())
    try:
        yield pauses
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
        gc.enable()
