"""The log on SQLite meets the requirements of every log, and those of a file."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from domain.errors import Unavailable
from domain.event import RecordedEvent
from domain.streams import page_stream
from server.eventstore.commit import Commit, Committed, EventLog
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from tests.server.eventstore.busy_log_conformance import BusyLogConformance, Outage
from tests.server.eventstore.event_log_conformance import EventLogConformance, page_ids, registered


class TestEventStore(EventLogConformance, BusyLogConformance):
    @pytest.fixture
    async def log(self, sqlite_log: EventStore) -> EventLog:
        return sqlite_log

    @pytest.fixture
    def outage(self, database: Path) -> Outage:
        """Make the log unavailable by renaming its table of events."""

        @contextmanager
        def events_are_away() -> Iterator[None]:
            with closing(sqlite3.connect(database)) as connection:
                connection.execute("ALTER TABLE stored_events RENAME TO elsewhere")
                yield
                connection.execute("ALTER TABLE elsewhere RENAME TO stored_events")

        return events_are_away


async def test_listeners_are_called_after_the_commit_is_durable(sqlite_log: EventStore, database: Path) -> None:
    on_disk: list[int] = []

    def check(_: Sequence[RecordedEvent]) -> None:
        with closing(sqlite3.connect(database)) as connection:
            on_disk.append(connection.execute("SELECT COUNT(*) FROM stored_events").fetchone()[0])

    sqlite_log.listen(check)
    await sqlite_log.commit(Commit([registered("1"), registered("2")]))

    assert on_disk == [2]


async def test_a_full_disk_is_unavailable_and_loses_nothing(sqlite_log: EventStore, store: SqliteStore) -> None:
    await sqlite_log.commit(Commit([registered("1")]))
    with store.transaction(commit=True) as sql:
        pages = sql.rows("PRAGMA page_count")[0]["page_count"]
        sql.execute(f"PRAGMA max_page_count = {pages}")

    outcomes = await asyncio.gather(
        *(sqlite_log.commit(Commit([registered(f"many {n}")])) for n in range(2_000)), return_exceptions=True
    )
    with store.transaction(commit=True) as sql:
        sql.execute("PRAGMA max_page_count = 1000000")

    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    written = [outcome for outcome in outcomes if isinstance(outcome, Committed)]
    assert refused
    assert len(refused) + len(written) == 2_000
    assert isinstance(await sqlite_log.commit(Commit([registered("2")])), Committed)
    kept = await sqlite_log.read(lambda sql: sql.rows("SELECT COUNT(*) AS pages FROM pages"))
    assert kept[0]["pages"] == 2 + len(written)


async def test_committed_events_are_there_after_a_restart(database: Path) -> None:
    async with EventStore(SqliteStore(database)) as log:
        await log.commit(Commit([registered("1")]))

    async with EventStore(SqliteStore(database)) as log:
        assert await log.read(page_ids) == ["1"]
        assert len(await log.load(page_stream("1"))) == 1


async def test_closing_writes_waiting_commits(database: Path) -> None:
    log = EventStore(SqliteStore(database))
    waiting = [asyncio.create_task(log.commit(Commit([registered(f"{n:03}")]))) for n in range(50)]
    await asyncio.sleep(0)  # lets the tasks hand over their commits
    await log.close()

    assert all(isinstance(result, Committed) for result in await asyncio.gather(*waiting))


@pytest.fixture
async def closed_log(database: Path) -> EventStore:
    log = EventStore(SqliteStore(database))
    await log.close()
    return log


async def test_a_closed_log_is_unavailable_to_writers(closed_log: EventStore) -> None:
    with pytest.raises(Unavailable):
        async with asyncio.timeout(2):
            await closed_log.commit(Commit([registered("1")]))


async def test_a_closed_log_is_unavailable_to_readers(closed_log: EventStore) -> None:
    with pytest.raises(Unavailable):
        await closed_log.read(page_ids)
    with pytest.raises(Unavailable):
        await closed_log.load(page_stream("1"))
