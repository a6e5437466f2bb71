"""The log on PostgreSQL meets the requirements of every log, and those of a shared database."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest

from domain.event import RecordedEvent
from server.eventstore.commit import Commit, Committed, EventLog
from server.eventstore.event_store import EventStore
from server.eventstore.follower import Follower
from server.eventstore.postgres.store import PostgresStore
from tests.server.eventstore.busy_log_conformance import BusyLogConformance, Outage
from tests.server.eventstore.event_log_conformance import EventLogConformance, registered


@pytest.fixture
async def postgres_log(postgres_url: str) -> AsyncIterator[EventStore]:
    store = PostgresStore(postgres_url)
    async with EventStore(store, Follower(store, postgres_url)) as log:
        yield log


class TestPostgresLog(EventLogConformance, BusyLogConformance):
    @pytest.fixture
    async def log(self, postgres_log: EventStore) -> EventLog:
        return postgres_log

    @pytest.fixture
    def outage(self, postgres_server: str, postgres_url: str) -> Outage:
        """Make the log unavailable: end every connection and allow no new one."""
        name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]

        @contextmanager
        def without_connections() -> Iterator[None]:
            with psycopg.connect(postgres_server, autocommit=True) as connection:
                connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
                yield
                connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

        return without_connections


async def test_each_of_two_processes_gets_the_others_events(postgres_url: str) -> None:
    stores = [PostgresStore(postgres_url) for _ in range(2)]
    one, two = (EventStore(store, Follower(store, postgres_url)) for store in stores)
    seen: asyncio.Queue[str] = asyncio.Queue()

    def listen(recorded: Sequence[RecordedEvent]) -> None:
        for each in recorded:
            seen.put_nowait(each.stream)

    async with one, two:
        two.listen(listen)
        for number in range(20):
            assert isinstance(await one.commit(Commit([registered(f"{number:02}")])), Committed)
        async with asyncio.timeout(5):
            assert [await seen.get() for _ in range(20)] == [f"page/{number:02}" for number in range(20)]


async def test_several_stores_can_be_opened_at_once_on_an_empty_database(postgres_url: str) -> None:
    stores = await asyncio.gather(*(asyncio.to_thread(PostgresStore, postgres_url) for _ in range(8)))

    for store in stores:
        store.close()
