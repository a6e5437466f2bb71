"""Long work done step by step, so that the other calls of the event loop have their turn in between."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SLICE = 250  # recipients dealt with in one step: less than a millisecond, ten where each has fifty variables


def slices(items: Sequence[T], size: int = SLICE) -> Iterator[Sequence[T]]:
    """The items, a step's worth at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def yield_between(steps: Iterable[T]) -> AsyncIterator[T]:
    """The steps one by one; between two of them, whatever else waits to be done is done."""
    for number, step in enumerate(steps):
        if number:
            await asyncio.sleep(0)
        yield step
