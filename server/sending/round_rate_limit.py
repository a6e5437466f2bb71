"""Keeps a round of resends from leaving faster than whoever asked for it wants, whatever the page's own pace."""

import asyncio
import time

from domain.adaptive_rate import CHUNK_SECONDS, MIN_LIMIT
from domain.batch import Batch
from server.sending.rate_limiter import LONGEST_STEP, SHORTEST_WAIT, wait

Round = tuple[str, int]  # a message, and the number of the round


class RoundRateLimit:
    """Messages per second of one round; what a slow moment left over is not made up for."""

    def __init__(self, messages_per_second: float) -> None:
        self._rate = max(messages_per_second, MIN_LIMIT)
        self._next_free = 0.0

    @property
    def is_idle(self) -> bool:
        """Nothing that has left is to be waited for."""
        return self._next_free <= time.monotonic()

    def chunk(self, most: int) -> int:
        """How many leave within a quarter of a second, at least one."""
        return max(1, min(most, int(self._rate * CHUNK_SECONDS)))

    async def take(self, messages: int, halt: asyncio.Event) -> bool:
        """Waits until so many messages may leave; False after a halt."""
        while not halt.is_set():
            now = time.monotonic()
            if self._next_free - now <= SHORTEST_WAIT:
                self._next_free = max(self._next_free, now) + messages / self._rate
                return True
            await wait(halt, min(self._next_free - now, LONGEST_STEP))
        return False


class RoundRateLimits:
    """The caps of a page's rounds; one is kept as long as it has something to wait for."""

    def __init__(self) -> None:
        self._caps: dict[Round, RoundRateLimit] = {}

    def of(self, batch: Batch) -> RoundRateLimit | None:
        """The one that all batches of the round share; None for a round without one."""
        if not batch.messages_per_second:
            return None
        the_round = (batch.message_id, batch.round)
        if the_round not in self._caps:
            self._caps = {key: cap for key, cap in self._caps.items() if not cap.is_idle}
            self._caps[the_round] = RoundRateLimit(batch.messages_per_second)
        return self._caps[the_round]
