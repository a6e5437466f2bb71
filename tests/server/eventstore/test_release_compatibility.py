"""While servers of the earlier release run, nothing is written that they cannot read."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from domain.errors import OlderReleaseRunning
from domain.event import Event
from domain.retry import RetryPolicy
from domain.retry_delay import FixedInterval
from domain.streams import message_stream, page_stream
from projections.sql import Sql
from server.crypto.key_ring import new_key
from server.crypto.labels import Labels
from server.eventstore import schema
from server.eventstore.codec import TYPES
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.rolling_upgrade import KNOWN_BEFORE
from tests.builders import after, message_submitted, page_held, page_registered, page_settings_changed
from tests.databases import opened

OLD_LEASE = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"  # the statement of that release
SECOND = 1_000_000


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[EventStore]:
    async with EventStore(opened(database_url)) as log:
        yield log


async def write_tables(log: EventStore, write: Callable[[Sql], object]) -> None:
    await log.write(write)


async def old_server(log: EventStore, seconds: int) -> None:
    """Add a server of the earlier release whose lease has this many seconds left."""
    await write_tables(log, lambda sql: sql.execute(OLD_LEASE, {"expires": sql.clock() + seconds * SECOND}))


async def version(log: EventStore) -> int:
    return await log.read(schema.version_of)


def old_and_new_events() -> tuple[Commit, Commit]:
    """Return a commit that both releases can read (a new page), and one that only this release can (a hold)."""
    return commit_of(page_stream("1"), 0, page_registered("1")), commit_of(page_stream("1"), 1, page_held("1"))


def commit_of(stream: str, version: int, event: Event) -> Commit:
    return Commit([StreamEvents(stream, version, [event])])


async def test_new_events_wait_until_the_last_older_server_has_ended(log: EventStore) -> None:
    known, new = old_and_new_events()
    await old_server(log, seconds=60)

    assert isinstance(await log.commit(known), Committed)
    with pytest.raises(OlderReleaseRunning):
        await log.commit(new)
    assert await version(log) == schema.SHARED_VERSION

    await write_tables(log, lambda sql: sql.execute("DELETE FROM workers"))
    assert isinstance(await log.commit(new), Committed)
    assert await version(log) == schema.VERSION


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule_time": after(60)},
        {"retry_policy": RetryPolicy(delay=FixedInterval(interval=timedelta(minutes=1)))},
        {"fills_every_string": True},
        {"title": Labels(new_key()).titles.seal("Spring sale", "m-2")},
    ],
)
async def test_a_new_field_value_waits_too(log: EventStore, fields: dict[str, Any]) -> None:
    await old_server(log, seconds=60)

    assert isinstance(
        await log.commit(commit_of(message_stream("m-1"), 0, message_submitted(message_id="m-1"))), Committed
    )
    with pytest.raises(OlderReleaseRunning):
        await log.commit(commit_of(message_stream("m-2"), 0, message_submitted(message_id="m-2", **fields)))


async def test_a_sealed_name_of_a_page_waits_too(log: EventStore) -> None:
    await old_server(log, seconds=60)
    sealed = Labels(new_key()).page_names.seal("Shop", "1")

    for event in (page_registered("1", name=sealed), page_settings_changed("1", name=sealed)):
        with pytest.raises(OlderReleaseRunning):
            await log.commit(commit_of(page_stream("1"), 0, event))


async def test_an_older_server_with_an_expired_lease_blocks_nothing(log: EventStore) -> None:
    known, new = old_and_new_events()
    await old_server(log, seconds=-1)

    await log.commit(known)

    assert isinstance(await log.commit(new), Committed)


async def test_an_older_server_that_was_stopped_gets_no_new_lease(postgres_url: str) -> None:
    async with EventStore(opened(postgres_url)) as log:
        for commit in old_and_new_events():
            await log.commit(commit)

        with pytest.raises(psycopg.errors.NotNullViolation):
            await old_server(log, seconds=60)


def test_events_of_the_earlier_release_are_still_known() -> None:
    assert set(TYPES) > KNOWN_BEFORE
