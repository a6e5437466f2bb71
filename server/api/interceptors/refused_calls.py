"""Limits the cost of calls without valid credentials: a rate limit per peer, and sampled log lines."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from server.api.errors import Exhausted
from server.api.interceptors.limits import Limits, TokenBuckets

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
    """Limits the refused calls per second of each peer."""

    def __init__(self, limits: Limits) -> None:
        self._buckets = TokenBuckets(limits.refusals_per_second, limits.refusals_burst)

    def take(self, peer: str) -> None:
        """Count a refused call; raises TooManyRefusals, which replaces the reason of the refusal."""
        if self._buckets.take(self._bucket_name(peer)):
            raise TooManyRefusals

    def _bucket_name(self, peer: str) -> str:
        if peer in self._buckets or len(self._buckets) < MAX_PEERS:
            return peer
        self._buckets.forget_full()
        return peer if len(self._buckets) < MAX_PEERS else OTHER_PEERS


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
