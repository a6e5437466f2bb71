"""Waits for conditions, so that no test sleeps for a time that somebody guessed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.01  # seconds between two looks


async def eventually(look: Callable[[], Awaitable[T]], holds: Callable[[T], object] = bool, within: float = 30.0) -> T:
    """Looks until it holds, and answers what was seen; fails after so many seconds, with the last sight."""
    ends = time.monotonic() + within
    while True:
        seen = await look()
        if holds(seen):
            return seen
        assert time.monotonic() < ends, f"not within {within} seconds; last seen: {seen!r}"
        await asyncio.sleep(PAUSE)


def until(holds: Callable[[], object], within: float = 30.0) -> None:
    """Looks until it holds, where no loop runs; fails after so many seconds."""
    ends = time.monotonic() + within
    while not holds():
        assert time.monotonic() < ends, f"not within {within} seconds"
        time.sleep(PAUSE)
