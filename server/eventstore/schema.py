"""The database's tables and their schema version. A release refuses a database of a newer version than it knows."""

from collections.abc import Sequence

from projections import read_models
from projections.sql import Sql
from server.eventstore import migrations, operational_tables, outcome_backfill

# The newest version that this release knows. One number covers all tables, and how events are projected into them.
VERSION = 2
# The version that a database keeps until it has an event that the previous release would misunderstand (see
# rolling_upgrade.py).
SHARED_VERSION = 1

_VERSION_TABLE = "CREATE TABLE IF NOT EXISTS redrive_schema (version INTEGER NOT NULL)"


class DatabaseIsNewerError(Exception):
    """The database has a schema version that only a newer release knows."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the database has schema version {found}, and this release knows versions up to {VERSION}:"
            " start the release that brought it there, or a newer one"
        )


def migrate(sql: Sql, log_tables: Sequence[str]) -> bool:
    """Migrate the tables of an earlier release, create missing tables, and store the schema version.

    Return whether an existing table changed. Raises DatabaseIsNewerError. Runs whenever a database is opened, in one
    transaction under the log's lock.
    """
    sql.execute(_VERSION_TABLE)
    found = version_of(sql)
    if found > VERSION:
        raise DatabaseIsNewerError(found)
    changed = migrations.run(sql, is_new=not found)
    for statement in log_tables:
        sql.execute(statement)
    read_models.create(sql)
    operational_tables.create(sql)
    outcome_backfill.record_start(sql)
    if found < SHARED_VERSION:
        sql.execute("DELETE FROM redrive_schema")
        sql.execute("INSERT INTO redrive_schema (version) VALUES (:version)", {"version": SHARED_VERSION})
    return changed


def version_of(sql: Sql) -> int:
    """Return the schema version of an opened database; 0 if none is stored yet."""
    row = sql.row("SELECT MAX(version) AS version FROM redrive_schema")
    return (row and row["version"]) or 0
