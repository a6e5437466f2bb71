"""Follows the log of many processes: hears of each commit, reads on from where it was, and tells whoever listens.

NOTIFY wakes it; a poll stands behind, since a LISTEN can miss a wake-up and dies with its connection.
"""

import asyncio
from collections.abc import Callable, Sequence

import psycopg
import structlog

from domain.event import RecordedEvent
from server.eventstore.postgres.store import CHANNEL, CONNECT_SECONDS, PostgresStore

logger = structlog.get_logger()

POLL_SECONDS = 0.2
AWAY_SECONDS = 0.5  # between tries while the database is away
EVENTS_AT_ONCE = 500

Publish = Callable[[Sequence[RecordedEvent]], None]


class Follower:
    """Tells all that is recorded after its start, once: what this process writes at once, the rest as it is read."""

    def __init__(self, store: PostgresStore, url: str) -> None:
        self._store = store
        self._url = url
        self._position = 0
        self._told: set[int] = set()
        self._publish: Publish = lambda _: None
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, publish: Publish) -> None:
        """Begins at the log's present end."""
        self._position = await asyncio.to_thread(self._store.last_position)
        self._publish = publish
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._listen())]

    async def close(self) -> None:
        """Stops following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tell(self, recorded: Sequence[RecordedEvent]) -> None:
        """This process recorded something: told now, unless it was read meanwhile."""
        fresh = [one for one in recorded if one.position > self._position]
        self._told.update(one.position for one in fresh)
        self._publish(fresh)

    async def _follow(self) -> None:
        while True:
            await self._wait_for_news()
            try:
                await self._read_on()
            except self._store.away as error:
                logger.warning("log_away", part="follower", error=type(error).__name__)
                await asyncio.sleep(AWAY_SECONDS)

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    async def _read_on(self) -> None:
        """Reads what others recorded; writers take turns, so that nothing comes up later before what was told."""
        is_more = True
        while is_more:
            told = frozenset(self._told)
            chunk = await asyncio.to_thread(self._store.recorded_after, self._position, EVENTS_AT_ONCE, told)
            is_more = len(chunk) == EVENTS_AT_ONCE
            reached = (one.position for one in chunk)
            self._position = max((self._position, *reached, *(() if is_more else told)))
            self._publish([one for one in chunk if one.position not in self._told])
            self._told = {position for position in self._told if position > self._position}

    async def _listen(self) -> None:
        """Supervised: a connection that died is replaced."""
        while True:
            try:
                await self._hear()
            except psycopg.Error as error:
                logger.warning("listen_lost", error=type(error).__name__)
            await asyncio.sleep(AWAY_SECONDS)

    async def _hear(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._news.set()
            async for _ in connection.notifies():
                self._news.set()
