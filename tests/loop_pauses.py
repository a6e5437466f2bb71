"""How long the event loop is kept from whatever else waits for it."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class LoopPauses:
    """The longest time that the loop's thread worked between two turns, in seconds of its own CPU time.

    The clock on the wall would also count what other processes of a busy machine take.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def measure(self) -> None:
        """Take note of each pause, until it is cancelled."""
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now


@asynccontextmanager
async def loop_pauses() -> AsyncIterator[LoopPauses]:
    """Measure the pauses of the loop while the body runs."""
    gc.collect()
    gc.disable()  # its pauses depend on all that the tests before have left
    pauses = LoopPauses()
    measuring = asyncio.create_task(pauses.measure())
    try:
        yield pauses
    finally:
        measuring.cancel()
        await asyncio.gather(measuring, return_exceptions=True)
        gc.enable()
