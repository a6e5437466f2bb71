"""A database of the previous release gets the tables of this one, and keeps what it holds."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from projections.sql import Sql
from server.eventstore import migrations, schema
from server.eventstore.migrations import MIGRATIONS, Migration, m0001_columns_of_release_1
from server.eventstore.rebuild import differences, rebuild
from server.eventstore.store import Store
from tests.databases import opened
from tests.deploy.older_release import unpacked
from tests.server.eventstore.whole_log import write_many

# Run with the previous release's own code and tests.
_CREATE = """
import sys
from tests.databases import opened
from tests.server.log.whole_log import write_everything
store = opened(sys.argv[1])
write_everything(store)
store.close()
"""
UNCOUNTED = {"messages", "outcomes", "page_outcomes"}  # have counts that the previous release did not make


@pytest.fixture(scope="session")
def previous_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("previous_release"))


@pytest.fixture
def previous_database(previous_release: Path, database_url: str) -> str:
    """A database that the previous release created and wrote an event of every type to."""
    path = os.pathsep.join((str(previous_release), str(previous_release / "clients")))
    command = [sys.executable, "-c", _CREATE, database_url]
    subprocess.run(command, check=True, cwd=previous_release, env={**os.environ, "PYTHONPATH": path})
    return database_url


def columns(store: Store) -> Mapping[str, Sequence[object]]:
    """Each table's columns in order: name, type, whether it may be NULL, default."""
    with store.transaction(commit=False) as sql:
        return {table: _columns(sql, table) for table in _tables(sql)}


def _tables(sql: Sql) -> Sequence[str]:
    if sql.log_position == "rowid":
        statement = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    else:
        statement = "SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
    return [row["name"] for row in sql.rows(statement)]


def _columns(sql: Sql, table: str) -> Sequence[object]:
    if sql.log_position == "rowid":
        statement = """SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(:name) ORDER BY cid"""
    else:
        statement = """
            SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = :name ORDER BY ordinal_position
        """
    return [tuple(row.values()) for row in sql.rows(statement, {"name": table})]


def recorded_migrations(store: Store) -> list[int]:
    with store.transaction(commit=False) as sql:
        return [row["number"] for row in sql.rows("SELECT number FROM redrive_migrations ORDER BY number")]


def all_rows(store: Store, table: str) -> Sequence[Mapping[str, object]]:
    with store.transaction(commit=False) as sql:
        return sql.rows(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608 - our own names


def test_a_migrated_database_has_the_tables_of_a_new_one(previous_database: str) -> None:
    with closing(opened(previous_database)) as store:
        migrated = columns(store)
        with store.transaction(commit=True) as sql:
            for table in migrated:
                if not table.startswith("sqlite_"):
                    sql.execute(f"DROP TABLE {table}")

    with closing(opened(previous_database)) as store:
        assert columns(store) == migrated


def test_a_migrated_database_keeps_its_events_and_rows(previous_database: str) -> None:
    with closing(opened(previous_database)) as store:
        assert len(store.recorded_after(0, 1_000)) == store.last_position() > 20
        assert set(differences(store)) <= UNCOUNTED

        rebuild(store)

        assert differences(store) == {}


def test_migrations_are_recorded_and_run_once(previous_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened(previous_database)) as store:
        assert recorded_migrations(store) == [migration.number for migration in MIGRATIONS]

    failing = [migration._replace(apply=_fail) for migration in MIGRATIONS]
    monkeypatch.setattr(migrations, "MIGRATIONS", failing)
    opened(previous_database).close()


def _fail(_: Sql) -> bool:
    raise AssertionError("the migration ran again")


def test_a_new_database_records_all_migrations_and_runs_none(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "MIGRATIONS", (Migration(1, "one", _fail), Migration(2, "two", _fail)))

    with closing(opened(database_url)) as store:
        assert recorded_migrations(store) == [1, 2]


def test_a_later_migration_runs_on_a_database_that_has_the_earlier_ones(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(opened(database_url)) as store:
        write_many(store, "1", 3)
        pages = all_rows(store, "pages")
    added = Migration(2, "two", _add_a_column)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, added))

    with closing(opened(database_url)) as store:
        assert recorded_migrations(store) == [1, 2]
        assert all_rows(store, "pages") == [{**row, "added": 7} for row in pages]


def _add_a_column(sql: Sql) -> bool:
    sql.execute("ALTER TABLE pages ADD COLUMN added INTEGER NOT NULL DEFAULT 7")
    return True


def test_a_migration_that_fails_changes_nothing(previous_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(sql: Sql) -> bool:
        m0001_columns_of_release_1.apply(sql)
        raise ValueError("broken off")

    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (Migration(1, "one", fail),))
        with pytest.raises(ValueError, match="broken off"):
            opened(previous_database)

    with closing(opened(previous_database)) as store:
        assert recorded_migrations(store) == [migration.number for migration in MIGRATIONS]
        assert set(differences(store)) <= UNCOUNTED


def test_a_database_of_an_unreleased_build_gets_the_columns_that_it_lacks(database_url: str) -> None:
    with closing(opened(database_url)) as store:
        write_many(store, "1", 3)
        complete = columns(store)
        with store.transaction(commit=True) as sql:
            sql.execute("DROP TABLE redrive_migrations")
            sql.execute("ALTER TABLE pages DROP COLUMN shared_with")

    with closing(opened(database_url)) as store:
        assert columns(store) == complete
        assert differences(store) == {}


def test_migrations_are_numbered_in_order() -> None:
    assert [migration.number for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))


def test_a_migrated_database_stays_open_to_the_previous_release(previous_database: str) -> None:
    with closing(opened(previous_database)) as store, store.transaction(commit=False) as sql:
        assert schema.version_of(sql) == schema.SHARED_VERSION
