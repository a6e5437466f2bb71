"""A page's pace: a token bucket that slows down when the platform asks for it, and recovers by itself.

Times are seconds of any one clock that never goes back.
"""

BURST_SECONDS = 0.25  # what may leave at once after a pause: the same quarter of a second that a dispatched chunk spans
SLOWEST = 0.05  # of the limit: a throttled page goes on, so that it can recover
SLOW_DOWN = 0.5  # factor per refusal, at most once a second
RECOVERY_PER_SECOND = 0.05  # of the limit
HIGH_USAGE = 0.95  # of the platform's own quota


class Pace:
    """How fast a page may send; the limit is in messages per second, any value above 0."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._share = 1.0
        self._share_time = 0.0
        self._next_free = 0.0
        self._closed_until = 0.0

    def set_limit(self, now: float, limit: float) -> None:
        """Another limit from now on; what was spent before is paid back at the new one."""
        self._next_free = now + (self._next_free - now) * self._limit / limit
        self._limit = limit

    def rate(self, now: float) -> float:
        """Messages per second at this moment."""
        seconds = max(0.0, now - self._share_time)
        return self._limit * min(1.0, self._share + RECOVERY_PER_SECOND * seconds)

    def chunk(self, now: float, most: int) -> int:
        """How many leave within a quarter of a second, at least one."""
        return max(1, min(most, int(self.rate(now) * BURST_SECONDS)))

    def closed_for(self, now: float) -> float:
        """Seconds until the platform's Retry-After is over."""
        return max(0.0, self._closed_until - now)

    def delay(self, now: float) -> float:
        """Seconds until the next message may leave."""
        return max(0.0, self._next_free - now, self.closed_for(now))

    def spend(self, now: float, messages: int = 1) -> None:
        """So many messages leave now."""
        self._next_free = max(self._next_free, now - BURST_SECONDS) + messages / self.rate(now)

    def slow_down(self, now: float) -> None:
        """The platform refused, or says that its quota is nearly used up."""
        if now - self._share_time < 1.0:
            return
        self._share = max(SLOWEST, self.rate(now) / self._limit * SLOW_DOWN)
        self._share_time = now

    def close(self, now: float, seconds: float) -> None:
        """The platform asked for a pause."""
        self._closed_until = max(self._closed_until, now + seconds)
