"""How much one caller may ask for: requests per second, watches at a time, and how long a call may take."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from domain.errors import RedriveError

_WATCH_RETRY = timedelta(seconds=5)
_MANY_CALLERS = 10_000  # whose buckets are kept before those that are full are let go


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Generous: they stop a caller that runs wild, not one that works. Each has a setting of the same name."""

    requests_per_second: float = math.inf
    requests_burst: int = 2_000
    watches_per_caller: int = 1_000
    streams_per_connection: int = 2_000
    call_seconds: float = 600.0  # for a call with one request and one answer
    stream_seconds: float = 3_600.0  # for a SendStream


class Exhausted(RedriveError):
    """The caller asks for too much at once; later it may."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(Exhausted):
    """More requests per second than one caller may make."""

    reason = "TOO_MANY_REQUESTS"


class TooManyWatches(Exhausted):
    """More watches and exports at a time than one caller may have."""

    reason = "TOO_MANY_WATCHES"


class TookTooLong(RedriveError):
    """The call was ended; what it asked for may have been done, and a repeat with the same request_id finds it."""

    reason = "CALL_TOO_LONG"


class RequestRate:
    """A bucket of requests for each caller, which fills up steadily."""

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.requests_per_second
        self._burst = max(1.0, float(limits.requests_burst))
        self._levels: dict[str, tuple[float, float]] = {}  # by owner: how full, and when that was

    def take(self, owner: str) -> None:
        """Counts one request; raises TooManyRequests."""
        if math.isinf(self._rate):
            return
        now = time.monotonic()
        level = self._level(owner, now)
        if level < 1.0:
            wait = timedelta(seconds=(1.0 - level) / self._rate)
            raise TooManyRequests(f"more than {self._rate:g} requests per second", wait)
        self._levels[owner] = (level - 1.0, now)
        if len(self._levels) > _MANY_CALLERS:
            self._levels = {one: kept for one, kept in self._levels.items() if self._level(one, now) < self._burst}

    def _level(self, owner: str, now: float) -> float:
        level, then = self._levels.get(owner, (self._burst, now))
        return min(self._burst, level + (now - then) * self._rate)


class Watches:
    """The watches and exports that each caller has."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.watches_per_caller
        self._open: Counter[str] = Counter()

    @contextmanager
    def one_of(self, owner: str) -> Iterator[None]:
        """One more, until the block ends; raises TooManyWatches."""
        if self._open[owner] >= self._most:
            raise TooManyWatches(f"more than {self._most:,} watches and exports at a time", _WATCH_RETRY)
        self._open[owner] += 1
        try:
            yield
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]
