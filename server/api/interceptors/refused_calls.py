"""Limits the cost of calls without valid credentials: a rate limit per peer, and sampled log lines."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from server.api.errors import Exhausted
from server.api.interceptors.limits import Limits

logger = structlog.get_logger()

LINE_SECONDS = 10.0  # between two log lines about one peer
MAX_PEERS = 1_000  # that have a bucket of their own
OTHER_PEERS = "others"
_RETRY_AFTER = timedelta(seconds=1)


class TooManyRefusals(Exhausted):
    """The peer makes too many calls without valid credentials; its calls with valid credentials still pass."""

    reason = "TOO_MANY_REFUSALS"

    def __init__(self) -> None:
        super().__init__("too many calls without valid credentials from this address", _RETRY_AFTER)


class RefusalRate:
    """A token bucket of refusals for each peer, refilled at `refusals_per_second`."""

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.refusals_per_second
        self._burst = max(1.0, float(limits.refusals_burst))
        self._levels: dict[str, tuple[float, float]] = {}  # by peer: tokens, and the monotonic time of that count

    def take(self, peer: str) -> None:
        """Count a refused call; raises TooManyRefusals, which replaces the reason of the refusal."""
        now = time.monotonic()
        peer = self._bucket_name(peer, now)
        level = self._level(peer, now)
        if level < 1.0:
            raise TooManyRefusals
        self._levels[peer] = (level - 1.0, now)

    def _bucket_name(self, peer: str, now: float) -> str:
        if peer in self._levels or len(self._levels) < MAX_PEERS:
            return peer
        self._levels = {one: bucket for one, bucket in self._levels.items() if self._level(one, now) < self._burst}
        return peer if len(self._levels) < MAX_PEERS else OTHER_PEERS

    def _level(self, peer: str, now: float) -> float:
        level, then = self._levels.get(peer, (self._burst, now))
        return min(self._burst, level + (now - then) * self._rate)


class LogSampler:
    """Allows one log line per peer and code in some seconds, and then logs the number of the others."""

    def __init__(self, write: Callable[..., object], seconds: float = LINE_SECONDS) -> None:
        self._write = write
        self._seconds = seconds
        self._counts: dict[tuple[str, str], int] = {}

    def should_log(self, peer: str, code: str) -> bool:
        """Return whether to log this call; calls that are not logged are counted."""
        key = (peer, code)
        if key not in self._counts and len(self._counts) >= MAX_PEERS:
            key = (OTHER_PEERS, code)
        if key in self._counts:
            self._counts[key] += 1
            return False
        self._counts[key] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._log_count, key)
        return True

    def _log_count(self, key: tuple[str, str]) -> None:
        count = self._counts.pop(key)
        if not count:
            return
        peer, code = key
        self._write("rpcs_refused", peer=peer, code=code, count=count, seconds=self._seconds)
        self._counts[key] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._log_count, key)
