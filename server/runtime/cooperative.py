"""Cooperative steps: long work in the event loop is split, so that other tasks run in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SLICE = 250  # recipients of one step: less than a millisecond, or ten if each has fifty variables


def slices(items: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    """Yield the items in slices of a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def yield_between(steps: Iterable[T]) -> AsyncIterator[T]:
    """Yield the steps one by one; between two of them, other tasks of the event loop run."""
    for number, step in enumerate(steps):
        if number:
            await asyncio.sleep(0)
        yield step
