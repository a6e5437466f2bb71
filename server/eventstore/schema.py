"""The version of the database's tables: a program never works on tables that are newer than itself."""

from collections.abc import Sequence

from projections import read_models
from projections.sql import Sql
from server.eventstore import operational_tables, outcome_backfill

VERSION = 2  # of all tables together, and of what the projections make of events: the newest that this release knows
SHARED_VERSION = 1  # until the log holds something that the release before does not understand (see releases.py)

# Columns that tables of a version before may lack, in the order in which CREATE TABLE names them: always its last ones,
# and with a default, since servers of the release before go on writing rows without them.
ADDED = (
    ("messages", "is_paused", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "schedule_time", "BIGINT NOT NULL DEFAULT 0"),
    ("messages", "retry_delay", "TEXT NOT NULL DEFAULT ''"),
    ("messages", "next_retry_time", "BIGINT"),
    ("messages", "is_cleaned", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "canary_round", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "is_archived", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "stop_policy", "TEXT NOT NULL DEFAULT ''"),
    ("messages", "recent_attempts", "BIGINT NOT NULL DEFAULT 0"),
    ("messages", "recent_failures", "BIGINT NOT NULL DEFAULT 0"),
    ("messages", "stop", "TEXT NOT NULL DEFAULT ''"),
    ("messages", "stop_time", "BIGINT"),
    ("messages", "replaced_round", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "automatic_from_batch", "INTEGER NOT NULL DEFAULT 0"),
    ("messages", "is_suspended", "INTEGER NOT NULL DEFAULT 0"),
    ("batches", "due_time", "BIGINT NOT NULL DEFAULT 0"),
    ("deliveries", "has_receipt", "INTEGER NOT NULL DEFAULT 0"),
    ("deliveries", "delivered_time", "BIGINT"),
    ("deliveries", "read_time", "BIGINT"),
    ("recipients", "is_erased", "INTEGER NOT NULL DEFAULT 0"),
    ("recipients", "content_round", "INTEGER NOT NULL DEFAULT 0"),
    ("pages", "is_held", "INTEGER NOT NULL DEFAULT 0"),
    ("pages", "hold_reason", "TEXT NOT NULL DEFAULT ''"),
    ("pages", "held_by", "TEXT NOT NULL DEFAULT ''"),
    ("pages", "hold_code", "INTEGER NOT NULL DEFAULT 0"),
    ("pages", "hold_subcode", "INTEGER NOT NULL DEFAULT 0"),
    ("pages", "hold_error_type", "TEXT"),
    ("pages", "hold_time", "BIGINT"),
    ("pages", "owner", "TEXT NOT NULL DEFAULT ''"),
    ("pages", "shared_with", "TEXT NOT NULL DEFAULT ' * '"),
    ("workers", "release", "INTEGER NOT NULL DEFAULT 0"),
)

_TABLE = "CREATE TABLE IF NOT EXISTS redrive_schema (version INTEGER NOT NULL)"


class DatabaseIsNewerError(Exception):
    """A newer release has brought the database to a version that this one does not know."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the database has schema version {found}, and this release knows versions up to {VERSION}:"
            " start the release that brought it there, or a newer one"
        )


def bring_up(sql: Sql, log_tables: Sequence[str]) -> bool:
    """Makes the tables that are not there, and says the version; True when tables that were there changed.

    Raises DatabaseIsNewerError.

    Runs in one transaction, under the log's lock, at each opening.
    """
    sql.execute(_TABLE)
    found = version_of(sql)
    if found > VERSION:
        raise DatabaseIsNewerError(found)
    changed = _add_columns(sql) if found else False
    for statement in log_tables:
        sql.execute(statement)
    read_models.create(sql)
    operational_tables.create(sql)
    outcome_backfill.begin(sql)
    if found < SHARED_VERSION:
        sql.execute("DELETE FROM redrive_schema")
        sql.execute("INSERT INTO redrive_schema (version) VALUES (:version)", {"version": SHARED_VERSION})
    return changed


def _add_columns(sql: Sql) -> bool:
    changed = False
    for table, column, kind in ADDED:
        there = sql.row(f"SELECT {table}.* FROM (SELECT 1 AS one) AS one LEFT JOIN {table} ON 1 = 0") or {}  # noqa: S608 - own words
        if column not in there:
            sql.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            changed = True
    return changed


def version_of(sql: Sql) -> int:
    """The version of an opened database; 0 when none is written yet."""
    row = sql.row("SELECT MAX(version) AS version FROM redrive_schema")
    return (row and row["version"]) or 0
