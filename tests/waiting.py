"""Functions that wait for a condition instead of a fixed time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.01  # seconds between two checks


async def eventually(read: Callable[[], Awaitable[T]], holds: Callable[[T], object] = bool, within: float = 30.0) -> T:
    """Read until the condition holds, and return that value; fail after `within` seconds with the last value."""
    ends = time.monotonic() + within
    while True:
        value = await read()
        if holds(value):
            return value
        assert time.monotonic() < ends, f"not within {within} seconds; last value: {value!r}"
        await asyncio.sleep(PAUSE)


def until(holds: Callable[[], object], within: float = 30.0) -> None:
    """Wait until the condition holds, without an event loop; fail after `within` seconds."""
    ends = time.monotonic() + within
    while not holds():
        assert time.monotonic() < ends, f"not within {within} seconds"
        time.sleep(PAUSE)
