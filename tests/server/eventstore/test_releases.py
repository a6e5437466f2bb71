"""Beside servers of the release before nothing is written that they would not understand."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from domain.errors import OlderReleaseLives
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

OLD_LEASE = "INSERT INTO workers (worker, lease_expire_time) VALUES ('old', :expires)"  # as that release says it
SECOND = 1_000_000


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[EventStore]:
    async with EventStore(opened(database_url)) as log:
        yield log


async def beside(log: EventStore, write: Callable[[Sql], object]) -> None:
    def also(sql: Sql) -> None:
        write(sql)

    await log.commit(Commit([], also=also))


async def old_server(log: EventStore, seconds: int) -> None:
    """One whose lease has so many seconds left."""
    await beside(log, lambda sql: sql.execute(OLD_LEASE, {"expires": sql.clock() + seconds * SECOND}))


async def version(log: EventStore) -> int:
    return await log.read(schema.version_of)


def new_kind() -> tuple[Commit, Commit]:
    """A page is registered, which every release knows, and put on hold, which is news."""
    return commit_of(page_stream("1"), 0, page_registered("1")), commit_of(page_stream("1"), 1, page_held("1"))


def commit_of(stream: str, version: int, event: Event) -> Commit:
    return Commit([StreamEvents(stream, version, [event])])


async def test_news_wait_until_the_last_older_server_is_gone(log: EventStore) -> None:
    known, news = new_kind()
    await old_server(log, seconds=60)

    assert isinstance(await log.commit(known), Committed)
    with pytest.raises(OlderReleaseLives):
        await log.commit(news)
    assert await version(log) == schema.SHARED_VERSION

    await beside(log, lambda sql: sql.execute("DELETE FROM workers"))
    assert isinstance(await log.commit(news), Committed)
    assert await version(log) == schema.VERSION


@pytest.mark.parametrize(
    "news",
    [
        {"schedule_time": after(60)},
        {"retry_policy": RetryPolicy(delay=FixedInterval(interval=timedelta(minutes=1)))},
        {"fills_every_string": True},
        {"title": Labels(new_key()).titles.seal("Spring sale", "m-2")},
    ],
)
async def test_what_only_a_new_field_says_waits_too(log: EventStore, news: dict[str, Any]) -> None:
    await old_server(log, seconds=60)

    assert isinstance(
        await log.commit(commit_of(message_stream("m-1"), 0, message_submitted(message_id="m-1"))), Committed
    )
    with pytest.raises(OlderReleaseLives):
        await log.commit(commit_of(message_stream("m-2"), 0, message_submitted(message_id="m-2", **news)))


async def test_a_sealed_name_of_a_page_waits_too(log: EventStore) -> None:
    await old_server(log, seconds=60)
    sealed = Labels(new_key()).page_names.seal("Shop", "1")

    for news in (page_registered("1", name=sealed), page_settings_changed("1", name=sealed)):
        with pytest.raises(OlderReleaseLives):
            await log.commit(commit_of(page_stream("1"), 0, news))


async def test_an_older_server_that_died_keeps_nobody_waiting(log: EventStore) -> None:
    known, news = new_kind()
    await old_server(log, seconds=-1)

    await log.commit(known)

    assert isinstance(await log.commit(news), Committed)


async def test_an_older_server_that_was_stopped_meanwhile_gets_no_lease_any_more(postgres_url: str) -> None:
    async with EventStore(opened(postgres_url)) as log:
        for commit in new_kind():
            await log.commit(commit)

        with pytest.raises(psycopg.errors.NotNullViolation):
            await old_server(log, seconds=60)


def test_what_the_release_before_knows_is_known_still() -> None:
    assert set(TYPES) > KNOWN_BEFORE
