"""The end of calls that stay open for as long as the server runs, such as WatchProgress, when it stops."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeVar

from domain.errors import Unavailable

T = TypeVar("T")

RETRY_AFTER = timedelta(seconds=1)


class ServerStops(Unavailable):
    """The server is stopping; another server, or the next one, answers a repeat."""

    reason = "SERVER_STOPS"


class Drain:
    """Ends long calls when the server starts to drain."""

    def __init__(self) -> None:
        self._started = asyncio.Event()

    def begin(self) -> None:
        """End the current long calls, and every later one."""
        self._started.set()

    async def until_drain(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """Yield the items; raises ServerStops when the drain begins."""
        drain_started = asyncio.ensure_future(self._started.wait())
        next_item: asyncio.Future[T | None] | None = None
        try:
            while True:
                next_item = asyncio.ensure_future(_next(items))
                await asyncio.wait((next_item, drain_started), return_when=asyncio.FIRST_COMPLETED)
                if not next_item.done():
                    raise ServerStops("the server is stopping", RETRY_AFTER)
                if (item := next_item.result()) is None:
                    return
                yield item
        finally:
            drain_started.cancel()
            if next_item is not None:
                next_item.cancel()


async def _next(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)
