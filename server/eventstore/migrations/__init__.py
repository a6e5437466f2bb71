"""Numbered migrations of databases of earlier releases (docs/decisions/037-migrations.md).

Each migration is a module of this package with the function `apply`. A released migration never changes. A new
database gets the current tables from their CREATE statements, and its migrations are only recorded.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from projections.sql import Sql
from server.eventstore.migrations import m0001_columns_of_release_1

_RECORDS = """
    CREATE TABLE IF NOT EXISTS redrive_migrations (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        apply_time BIGINT NOT NULL
    )
"""


class Migration(NamedTuple):
    """One migration; `apply` returns whether it changed a table."""

    number: int
    name: str
    apply: Callable[[Sql], bool]


MIGRATIONS = (Migration(1, "columns of release 1", m0001_columns_of_release_1.apply),)


def run(sql: Sql, *, is_new: bool) -> bool:
    """Apply the migrations that the database lacks, in order, and record them; return whether a table changed.

    For a new database, all migrations are recorded and none is applied.
    """
    sql.execute(_RECORDS)
    pending = _pending(sql)
    changed = [not is_new and migration.apply(sql) for migration in pending]
    for migration in pending:
        _record(sql, migration)
    return any(changed)


def _pending(sql: Sql) -> Sequence[Migration]:
    recorded = {row["number"] for row in sql.rows("SELECT number FROM redrive_migrations")}
    return [migration for migration in MIGRATIONS if migration.number not in recorded]


def _record(sql: Sql, migration: Migration) -> None:
    sql.execute(
        "INSERT INTO redrive_migrations (number, name, apply_time) VALUES (:number, :name, :time)",
        {"number": migration.number, "name": migration.name, "time": sql.clock()},
    )
