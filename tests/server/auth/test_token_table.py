"""Tokens in the database."""

from collections.abc import AsyncIterator

import pytest

from projections.sql import Sql
from server.auth import token_table
from server.auth.caller import Scope
from server.auth.token_table import TokenTable
from server.auth.tokens import NewToken, hash_of, new_token
from server.eventstore.event_store import EventStore
from tests.builders import NOW, after
from tests.databases import opened
from tests.waiting import eventually


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[EventStore]:
    async with EventStore(opened(database_url)) as log:
        yield log


async def added(log: EventStore, owner: str = "crm") -> NewToken:
    made = new_token(owner, [Scope.SEND, Scope.READ], now=NOW, expire_time=after(60))
    await log.write(lambda sql: token_table.add(sql, made.kept))
    return made


async def test_a_new_token_is_found_by_its_hash_at_once(log: EventStore) -> None:
    table = TokenTable(log)
    first = await added(log)
    assert await table.find(hash_of(first.secret)) == first.kept

    second = await added(log, "shop")

    assert await table.find(hash_of(second.secret)) == second.kept
    assert await table.find(hash_of("another")) is None


async def test_a_revoked_token_is_not_found(log: EventStore) -> None:
    table, made = TokenTable(log), await added(log)
    assert await table.find(hash_of(made.secret))

    def revoke(sql: Sql) -> None:
        assert token_table.remove(sql, made.kept.id)

    await log.write(revoke)

    await eventually(lambda: table.find(hash_of(made.secret)), lambda found: found is None, within=3)


async def test_the_database_stores_no_token_in_plain_text(log: EventStore) -> None:
    made = await added(log)

    rows = await log.read(lambda sql: sql.rows("SELECT * FROM access_tokens"))

    assert len(rows) == 1
    assert made.secret not in str([dict(row) for row in rows])
