"""Lets calls end that would go on for as long as the server does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeVar

from domain.errors import Unavailable

T = TypeVar("T")

RETRY_AFTER = timedelta(seconds=1)


class ServerStops(Unavailable):
    """The server is about to stop: another one, or the next one, answers."""

    reason = "SERVER_STOPS"


class Drain:
    """Begins once, and for good."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """Ends what is under way."""
        self._begun.set()

    async def until_begun(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The items as they come; raises ServerStops in place of those that would come after the beginning."""
        beginning = asyncio.ensure_future(self._begun.wait())
        coming: asyncio.Future[T | None] | None = None
        try:
            while True:
                coming = asyncio.ensure_future(_next(items))
                await asyncio.wait((coming, beginning), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    raise ServerStops("the server is about to stop", RETRY_AFTER)
                if (item := coming.result()) is None:
                    return
                yield item
        finally:
            beginning.cancel()
            if coming is not None:
                coming.cancel()


async def _next(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)
