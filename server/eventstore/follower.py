"""The follower: publishes the events that all processes write to one PostgreSQL database.

NOTIFY wakes it after each commit. It also polls, since LISTEN can miss a notification and ends with its connection.
"""

import asyncio
from collections.abc import Callable, Sequence

import psycopg
import structlog

from domain.event import RecordedEvent
from server.eventstore.postgres.store import CHANNEL, CONNECT_SECONDS, PostgresStore

logger = structlog.get_logger()

POLL_SECONDS = 0.2
RETRY_SECONDS = 0.5  # between attempts while the database is unavailable
EVENTS_AT_ONCE = 500

Publish = Callable[[Sequence[RecordedEvent]], None]


class Follower:
    """Publishes every event that is recorded after its start, once.

    Events of this process are published when they are written, those of other processes when they are read.
    """

    def __init__(self, store: PostgresStore, url: str) -> None:
        self._store = store
        self._url = url
        self._position = 0
        self._published: set[int] = set()  # positions after self._position of events that this process wrote
        self._publish: Publish = lambda _: None
        self._wakeup = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, publish: Publish) -> None:
        """Start at the current end of the log."""
        self._position = await asyncio.to_thread(self._store.last_position)
        self._publish = publish
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._listen())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def publish_own(self, recorded: Sequence[RecordedEvent]) -> None:
        """Publish events that this process recorded, except those that were read from the log already."""
        unread = [one for one in recorded if one.position > self._position]
        self._published.update(one.position for one in unread)
        self._publish(unread)

    async def _follow(self) -> None:
        while True:
            await self._wait_for_wakeup()
            try:
                await self._read_new_events()
            except self._store.unavailable_errors as error:
                logger.warning("log_away", part="follower", error=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _wait_for_wakeup(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            pass
        self._wakeup.clear()

    async def _read_new_events(self) -> None:
        """Publish the events that other processes recorded.

        Writers hold the log's lock one after the other, so no event appears later at a position before a published one.
        """
        is_more = True
        while is_more:
            published = frozenset(self._published)
            chunk = await asyncio.to_thread(self._store.recorded_after, self._position, EVENTS_AT_ONCE, published)
            is_more = len(chunk) == EVENTS_AT_ONCE
            reached = (one.position for one in chunk)
            self._position = max((self._position, *reached, *(() if is_more else published)))
            self._publish([one for one in chunk if one.position not in self._published])
            self._published = {position for position in self._published if position > self._position}

    async def _listen(self) -> None:
        """Listen for notifications, with a new connection after each lost one."""
        while True:
            try:
                await self._listen_until_lost()
            except psycopg.Error as error:
                logger.warning("listen_lost", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen_until_lost(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._wakeup.set()
            async for _ in connection.notifies():
                self._wakeup.set()
