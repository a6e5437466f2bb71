"""Rate limits of rounds: a Resend may limit its messages per second below the page's own rate."""

import asyncio
import time

from domain.adaptive_rate import CHUNK_SECONDS, MIN_LIMIT
from domain.batch import Batch
from server.sending.rate_limiter import MAX_WAIT_STEP, SHORTEST_WAIT, wait_at_most

Round = tuple[str, int]  # a message's id, and the number of the round


class RoundRateLimit:
    """The messages per second of one round; unused capacity does not accumulate."""

    def __init__(self, messages_per_second: float) -> None:
        self._rate = max(messages_per_second, MIN_LIMIT)
        self._next_free = 0.0

    @property
    def is_idle(self) -> bool:
        """Return whether the next message may leave at once."""
        return self._next_free <= time.monotonic()

    def chunk_size(self, most: int) -> int:
        """Return how many messages leave within CHUNK_SECONDS, from 1 to `most`."""
        return max(1, min(most, int(self._rate * CHUNK_SECONDS)))

    async def acquire(self, messages: int, halt: asyncio.Event) -> bool:
        """Wait until so many messages may leave; False after a halt."""
        while not halt.is_set():
            now = time.monotonic()
            if self._next_free - now <= SHORTEST_WAIT:
                self._next_free = max(self._next_free, now) + messages / self._rate
                return True
            await wait_at_most(halt, min(self._next_free - now, MAX_WAIT_STEP))
        return False


class RoundRateLimits:
    """The rate limits of a page's rounds; idle ones are dropped when another round begins."""

    def __init__(self) -> None:
        self._by_round: dict[Round, RoundRateLimit] = {}

    def for_batch(self, batch: Batch) -> RoundRateLimit | None:
        """Return the limit that all batches of the round share; None for a round without one."""
        if not batch.messages_per_second:
            return None
        round_key = (batch.message_id, batch.round)
        if round_key not in self._by_round:
            self._by_round = {key: limit for key, limit in self._by_round.items() if not limit.is_idle}
            self._by_round[round_key] = RoundRateLimit(batch.messages_per_second)
        return self._by_round[round_key]
