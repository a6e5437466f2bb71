"""Limits what calls without good credentials cost: per peer, each is refused shortly, and few are logged."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from server.api.interceptors.limits import Exhausted, Limits

logger = structlog.get_logger()

LINE_SECONDS = 10.0  # between two lines about one peer
MOST_PEERS = 1_000  # that are counted by themselves
OTHERS = "others"
_RETRY_AFTER = timedelta(seconds=1)


class TooManyRefusals(Exhausted):
    """The peer has made too many calls without good credentials; one with good ones passes still."""

    reason = "TOO_MANY_REFUSALS"

    def __init__(self) -> None:
        super().__init__("too many calls without good credentials come from this address", _RETRY_AFTER)


class RefusalRate:
    """A bucket of refusals for each peer, which fills up steadily."""

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.refusals_per_second
        self._burst = max(1.0, float(limits.refusals_burst))
        self._levels: dict[str, tuple[float, float]] = {}  # by peer: how full, and when that was

    def take(self, peer: str) -> None:
        """Count a refused call; raises TooManyRefusals in place of its own refusal."""
        now = time.monotonic()
        peer = self._known(peer, now)
        level = self._level(peer, now)
        if level < 1.0:
            raise TooManyRefusals
        self._levels[peer] = (level - 1.0, now)

    def _known(self, peer: str, now: float) -> str:
        if peer in self._levels or len(self._levels) < MOST_PEERS:
            return peer
        self._levels = {one: kept for one, kept in self._levels.items() if self._level(one, now) < self._burst}
        return peer if len(self._levels) < MOST_PEERS else OTHERS

    def _level(self, peer: str, now: float) -> float:
        level, then = self._levels.get(peer, (self._burst, now))
        return min(self._burst, level + (now - then) * self._rate)


class SampledLines:
    """Lets through one line for each key and some seconds, and afterwards says how many more there were."""

    def __init__(self, write: Callable[..., object], seconds: float = LINE_SECONDS) -> None:
        self._write = write
        self._seconds = seconds
        self._counts: dict[tuple[str, str], int] = {}

    def is_first(self, peer: str, code: str) -> bool:
        """It has a line of its own; others are counted."""
        key = (peer, code)
        if key not in self._counts and len(self._counts) >= MOST_PEERS:
            key = (OTHERS, code)
        if key in self._counts:
            self._counts[key] += 1
            return False
        self._counts[key] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._sum_up, key)
        return True

    def _sum_up(self, key: tuple[str, str]) -> None:
        count = self._counts.pop(key)
        if not count:
            return
        peer, code = key
        self._write("rpcs_refused", peer=peer, code=code, count=count, seconds=self._seconds)
        self._counts[key] = 0
        asyncio.get_running_loop().call_later(self._seconds, self._sum_up, key)
