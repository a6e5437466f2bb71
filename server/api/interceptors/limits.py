"""How much one caller may ask for: requests per second, watches at a time, and how long a call may take."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from domain.errors import RedriveError

_OPEN_CALL_RETRY = timedelta(seconds=5)
_MANY_CALLERS = 10_000  # whose buckets are kept before those that are full are let go


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Generous: they stop a caller that runs wild, not one that works. Each has a setting of the same name."""

    requests_per_second: float = math.inf
    requests_burst: int = 2_000
    watches_per_caller: int = 1_000
    streams_per_connection: int = 2_000
    call_seconds: float = 600.0  # for a call with one request and one answer
    stream_seconds: float = 3_600.0  # for a SendStream
    read_seconds: float = 30.0  # for one request to come whole
    stream_idle_seconds: float = 60.0  # between two requests of a stream
    request_bytes: int = 32 * 1024 * 1024  # of one request, as it comes and uncompressed
    calls_at_once: int = 10_000  # of all callers
    connections: int = 2_000  # of all callers
    send_streams_per_caller: int = 20
    refusals_per_second: float = 10.0  # of one peer: calls without good credentials
    refusals_burst: int = 1_000


class Exhausted(RedriveError):
    """The caller asks for too much at once; later it may."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(Exhausted):
    """More requests per second than one caller may make."""

    reason = "TOO_MANY_REQUESTS"


class TooManyOpenCalls(Exhausted):
    """More calls that go on than are taken at a time."""

    words = "more than {most:,} calls at a time"

    def __init__(self, most: int) -> None:
        super().__init__(self.words.format(most=most), _OPEN_CALL_RETRY)


class TooManyWatches(TooManyOpenCalls):
    """More watches and exports at a time than one caller may have."""

    reason = "TOO_MANY_WATCHES"
    words = "more than {most:,} watches and exports at a time"


class TooManySendStreams(TooManyOpenCalls):
    """More SendStreams at a time than one caller may have."""

    reason = "TOO_MANY_SEND_STREAMS"
    words = "more than {most:,} SendStreams at a time"


class TooManyOpenWatches(TooManyOpenCalls):
    """More health watches and reflections at a time than one peer, or all together, may have."""

    reason = "TOO_MANY_WATCHES"
    words = "more than {most:,} health watches and reflections at a time"


class TookTooLong(RedriveError):
    """The call was ended; what it asked for may have been done, and a repeat with the same request_id finds it."""

    reason = "CALL_TOO_LONG"


class RequestTooLarge(RedriveError):
    """A repeat would not help."""

    reason = "REQUEST_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"a request of this rpc has at most {limit:,} bytes, uncompressed")


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


class OpenCalls:
    """The calls of a kind that go on, by whom they count for."""

    def __init__(self, most: int, error: type[TooManyOpenCalls], most_of_all: float = math.inf) -> None:
        self._most = most
        self._most_of_all = most_of_all
        self._error = error
        self._open: Counter[str] = Counter()
        self._total = 0

    @contextmanager
    def one_of(self, key: str) -> Iterator[None]:
        """One more, until the block ends; raises the error."""
        if self._open[key] >= self._most or self._total >= self._most_of_all:
            raise self._error(self._most)
        self._open[key] += 1
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
