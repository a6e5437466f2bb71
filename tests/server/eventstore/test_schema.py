"""The schema version: written once, and never opened by an older release."""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from domain.page_events import PageShared
from domain.receipts import ReceiptsRecorded
from domain.retention_events import CleanupStarted, PersonErased
from domain.streams import message_stream
from projections import read_models
from server.eventstore import schema
from server.eventstore.migrations.m0001_columns_of_release_1 import COLUMNS
from server.eventstore.rebuild import differences
from server.eventstore.schema import DatabaseIsNewerError
from server.eventstore.store import Store
from tests.builders import after, message_submitted
from tests.databases import opened
from tests.server.eventstore.whole_log import append, write_everything


def versions(store: Store) -> list[int]:
    with store.transaction(commit=False) as sql:
        return [row["version"] for row in sql.rows("SELECT version FROM redrive_schema")]


def test_an_empty_database_gets_the_version_of_the_release_that_opens_it(database_url: str) -> None:
    for _ in range(2):
        with closing(opened(database_url)) as store:
            assert versions(store) == [schema.SHARED_VERSION]


def test_a_database_without_a_version_gets_one(database_url: str) -> None:
    with closing(opened(database_url)) as store, store.transaction(commit=True) as sql:
        sql.execute("DROP TABLE redrive_schema")

    with closing(opened(database_url)) as store:
        assert versions(store) == [schema.SHARED_VERSION]


def test_a_newer_database_is_refused(database_url: str) -> None:
    with closing(opened(database_url)) as store, store.transaction(commit=True) as sql:
        sql.execute("UPDATE redrive_schema SET version = 7")

    for _ in range(2):  # the refusal closes the database
        with pytest.raises(DatabaseIsNewerError, match=r"version 7.*up to 2"):
            opened(database_url)


def test_an_older_database_is_migrated(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(database_url).close()
    monkeypatch.setattr(schema, "SHARED_VERSION", schema.SHARED_VERSION + 1)

    with closing(opened(database_url)) as store:
        assert versions(store) == [schema.SHARED_VERSION]


def test_a_database_of_the_earlier_release_gets_the_missing_columns(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        write_everything(store, but=(ReceiptsRecorded, CleanupStarted, PersonErased, PageShared))
        with store.transaction(commit=True) as sql:
            for name in re.findall(r"INDEX IF NOT EXISTS (\w+)", "".join(read_models.TABLES)):
                sql.execute(f"DROP INDEX IF EXISTS {name}")
            for table, definitions in COLUMNS.items():
                for definition in definitions:
                    sql.execute(f"ALTER TABLE {table} DROP COLUMN {definition.split()[0]}")
            sql.execute("DROP TABLE redrive_migrations")

    with closing(opened(database_url)) as store:
        assert differences(store) == {}
        append(store, message_stream("m-9"), 0, message_submitted(message_id="m-9", schedule_time=after(9)))
        assert differences(store) == {}


def test_several_processes_may_open_an_empty_database_at_once(postgres_url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(opened, [postgres_url] * 8))

    assert versions(stores[0]) == [schema.SHARED_VERSION]
    for store in stores:
        store.close()
