"""Limits per caller: requests per second, open calls, request size, and the duration of a call."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec

from server.api.errors import TooManyOpenCalls, TooManyRequests

MAX_BUCKETS = 10_000  # above this number, full buckets are deleted


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of calls. Each has a setting of the same name.

    The defaults are generous: they stop a faulty caller and do not slow down a normal one.
    """

    requests_per_second: float = math.inf
    requests_burst: int = 2_000
    watches_per_caller: int = 1_000
    streams_per_connection: int = 2_000
    call_seconds: float = 600.0  # for a call with one request and one response
    stream_seconds: float = 3_600.0  # for a SendStream
    read_seconds: float = 30.0  # until one request has arrived completely
    stream_idle_seconds: float = 60.0  # between two requests of a stream
    request_bytes: int = 32 * 1024 * 1024  # of one request, both compressed and uncompressed
    calls_at_once: int = 10_000  # of all callers
    connections: int = 2_000  # of all callers
    send_streams_per_caller: int = 20
    refusals_per_second: float = 10.0  # of one peer: calls without valid credentials
    refusals_burst: int = 1_000


class TokenBuckets:
    """A token bucket for each key, refilled at `per_second` up to `burst` tokens."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._rate = per_second
        self._burst = max(1.0, float(burst))
        self._levels: dict[str, tuple[float, float]] = {}  # by key: tokens, and the monotonic time of that count

    def __contains__(self, key: str) -> bool:
        return key in self._levels

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: str) -> float:
        """Take a token; return 0, or the seconds until the next token if there is none."""
        if math.isinf(self._rate):
            return 0.0
        now = time.monotonic()
        level = self._level(key, now)
        if level < 1.0:
            return (1.0 - level) / self._rate
        self._levels[key] = (level - 1.0, now)
        return 0.0

    def forget_full(self) -> None:
        """Forget the full buckets, which are as good as new ones."""
        now = time.monotonic()
        self._levels = {key: bucket for key, bucket in self._levels.items() if self._level(key, now) < self._burst}

    def _level(self, key: str, now: float) -> float:
        level, then = self._levels.get(key, (self._burst, now))
        return min(self._burst, level + (now - then) * self._rate)


class RequestRate:
    """Limits the requests per second of each caller."""

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.requests_per_second
        self._buckets = TokenBuckets(self._rate, limits.requests_burst)

    def take(self, owner: str) -> None:
        """Count one request; raises TooManyRequests."""
        wait = self._buckets.take(owner)
        if wait:
            raise TooManyRequests(f"more than {self._rate:g} requests per second", timedelta(seconds=wait))
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.forget_full()


class OpenCalls:
    """Limits the number of open calls of one kind, per key and in total."""

    def __init__(self, per_key: int, error: type[TooManyOpenCalls], total: float = math.inf) -> None:
        self._max_per_key = per_key
        self._max_total = total
        self._error = error
        self._open: Counter[str] = Counter()
        self._total = 0

    @contextmanager
    def counted(self, key: str) -> Iterator[None]:
        """Count one more open call until the block ends; raises the error of this kind."""
        if self._open[key] >= self._max_per_key or self._total >= self._max_total:
            raise self._error(self._max_per_key)
        self._open[key] += 1
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
