"""Statements of a write are sent in a pipeline, with the same results and errors as without."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import psycopg
import pytest

from projections.sql import Row, Sql
from server.eventstore.commit import Commit, Committed
from server.eventstore.postgres.store import PostgresStore
from tests.databases import opened
from tests.server.eventstore.event_log_conformance import registered

_ADD = "INSERT INTO page_secrets (page_id, token_generation, sealed) VALUES ('1', 1, '')"


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    with closing(opened(postgres_url)) as store:
        assert isinstance(store, PostgresStore)
        yield store


def secrets(store: PostgresStore) -> int:
    with store.transaction(commit=False) as sql:
        return len(sql.rows("SELECT 1 FROM page_secrets"))


def test_a_failing_statement_raises_its_own_error_and_not_unavailable(store: PostgresStore) -> None:
    def twice(sql: Sql) -> None:
        sql.execute(_ADD)
        sql.execute(_ADD)
        sql.execute("UPDATE page_secrets SET token_generation = 2")

    with pytest.raises(psycopg.errors.UniqueViolation) as failure:
        store.write_together([Commit([registered("1")], also=twice)])

    assert not isinstance(failure.value, store.unavailable_errors)
    assert secrets(store) == 0
    assert store.last_position() == 0
    assert isinstance(store.write_together([Commit([registered("2")])])[0].result, Committed)


def test_a_statement_gets_its_own_result_after_earlier_ones(store: PostgresStore) -> None:
    seen: list[Sequence[Row]] = []

    def change(sql: Sql) -> None:
        sql.execute(_ADD)
        sql.execute("UPDATE page_secrets SET token_generation = 2")
        seen.append(sql.rows("SELECT page_id, token_generation FROM page_secrets"))
        seen.append(sql.rows("DELETE FROM page_secrets WHERE page_id = 'unknown' RETURNING page_id"))
        sql.execute(_ADD.replace("'1'", "'2'"))

    store.write_together([Commit([], also=change)])

    assert seen == [[{"page_id": "1", "token_generation": 2}], []]
    assert secrets(store) == 2


def test_a_reader_can_change_nothing_and_reads_one_snapshot(store: PostgresStore) -> None:
    with store.transaction(commit=False) as sql:
        before = sql.rows("SELECT 1 FROM page_secrets")
        store.write_together([Commit([], also=lambda writing: writing.execute(_ADD))])
        assert sql.rows("SELECT 1 FROM page_secrets") == before

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), store.transaction(commit=False) as sql:
        sql.execute("DELETE FROM page_secrets")
