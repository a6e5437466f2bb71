"""Watches of a message, and a log that counts reads."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from domain.delivery import DeliveryStatus
from projections.sql import Sql
from server.eventstore.commit import EventLog
from server.progress.hub import ProgressHub
from server.progress.progress import Progress
from tests.builders import OWNER

T = TypeVar("T")

NEVER = timedelta(hours=1)  # no heartbeat during a test
SOON = timedelta(seconds=0.05)


class CountingLog:
    """Counts reads, and can delay them or make them fail."""

    def __init__(self, log: EventLog) -> None:
        self._read = log.read
        self.commit, self.load, self.listen, self.recorded_in = log.commit, log.load, log.listen, log.recorded_in
        self.compute = log.compute
        self.write = log.write
        self.reads = 0
        self.before_read: Callable[[], Awaitable[None]] | None = None

    async def read(self, query: Callable[[Sql], T]) -> T:
        self.reads += 1
        if self.before_read is not None:
            await self.before_read()
        return await self._read(query)


@asynccontextmanager
async def watching(hub: ProgressHub, message_id: str) -> AsyncIterator[AsyncIterator[Progress]]:
    """Start a watch that ends with the block."""
    watch = hub.watch(OWNER, message_id)
    assert isinstance(watch, AsyncGenerator)
    async with aclosing(watch):
        yield watch


async def next_of(watch: AsyncIterator[Progress]) -> Progress:
    async with asyncio.timeout(5):
        return await anext(watch)


async def all_of(watch: AsyncIterator[Progress]) -> list[Progress]:
    async with asyncio.timeout(10):
        return [progress async for progress in watch]


def sent(progress: Progress) -> int:
    return progress.message.counts[DeliveryStatus.SENT]
