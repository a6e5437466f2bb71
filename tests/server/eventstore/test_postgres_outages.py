"""Outages of PostgreSQL: read-only, without answers, or with a session that ended while the process was stopped."""

import os
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from domain.errors import Unavailable
from server.eventstore.commit import Commit, CommitResult, Committed
from server.eventstore.event_store import EventStore
from server.eventstore.postgres.store import WRITE_SECONDS, PostgresStore
from tests.server.eventstore.event_log_conformance import registered
from tests.waiting import until

SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = %s"


@pytest.fixture
def name(postgres_url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"])


@pytest.fixture
def operator(postgres_server: str) -> Iterator[psycopg.Connection[tuple[int]]]:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield connection


async def test_a_read_only_database_is_unavailable_and_recovers(
    postgres_url: str, name: str, operator: psycopg.Connection[tuple[int]]
) -> None:
    async with EventStore(PostgresStore(postgres_url)) as log:
        operator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        for number in range(2):
            with pytest.raises(Unavailable):
                await log.commit(Commit([registered(f"refused-{number}")]))

        operator.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

        assert isinstance(await log.commit(Commit([registered("written")])), Committed)


async def test_a_database_without_answers_is_unavailable_and_the_commit_is_written_once(
    postgres_url: str, name: str, operator: psycopg.Connection[tuple[int]]
) -> None:
    async with EventStore(PostgresStore(postgres_url)) as log:
        await log.commit(Commit([registered("before")]))
        stopped = [pid for (pid,) in operator.execute(SESSIONS, (name,))]
        commit = Commit([registered("during")])
        began = time.monotonic()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable):
                await log.commit(commit)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

        assert time.monotonic() - began < WRITE_SECONDS + 2
        assert isinstance(await commit_until_written(log, commit), Committed)
        assert len(await log.load("page/during")) == 1


async def commit_until_written(log: EventStore, commit: Commit) -> CommitResult:
    """Repeat the commit while the database is unavailable, as callers do."""
    for _ in range(5):
        try:
            return await log.commit(commit)
        except Unavailable:
            continue
    raise AssertionError("the database stays away")


def test_a_session_that_ended_while_its_process_was_stopped_is_unavailable(
    postgres_url: str, name: str, operator: psycopg.Connection[tuple[int]]
) -> None:
    def sleep_in_mid_transaction() -> None:
        with store.transaction(commit=False) as sql:
            [row] = sql.rows("SELECT pg_backend_pid() AS pid")
            sql.execute("SET idle_in_transaction_session_timeout = '10ms'")
            until(lambda: row["pid"] not in {pid for (pid,) in operator.execute(SESSIONS, (name,))})
            sql.rows("SELECT 1")

    store = PostgresStore(postgres_url)
    try:
        with pytest.raises(store.unavailable_errors):
            sleep_in_mid_transaction()
        assert store.last_position() == 0
    finally:
        store.close()
