"""Checks of the database and of clocks; nothing is created, changed or locked, so servers may run."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
from eventsourcing.sqlite import SQLiteCursor
from psycopg.rows import dict_row

from projections.sql import Sql
from server.cli.doctor.finding import Finding, ok, problem, warning
from server.eventstore import schema
from server.eventstore.postgres.sql import PostgresSql
from server.eventstore.sqlite.sql import SqliteSql
from server.settings import Settings

CLOCK_AGREES = timedelta(seconds=3)  # a Date header has whole seconds, and arrives late
CLOCK_IS_WRONG = timedelta(seconds=60)
CONNECT_SECONDS = 5
LOW_DISK = 1024**3  # free bytes on the disk of an embedded database
FULL_DISK = 100 * 1024**2

AWAY = (sqlite3.Error, psycopg.Error)
NO_TABLE = (sqlite3.OperationalError, psycopg.errors.UndefinedTable)


@contextmanager
def opened(settings: Settings) -> Iterator[Sql | None]:
    """Yield the database, for queries in transactions of their own; None for a file that does not exist yet."""
    if not settings.is_embedded:
        url = settings.database_url
        with psycopg.connect(url, row_factory=dict_row, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
            yield PostgresSql(connection)
    elif settings.sqlite_path.exists():
        with closing(_file(settings.sqlite_path)) as connection:
            yield SqliteSql(SQLiteCursor(connection.cursor()))
    else:
        yield None


def _file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def examine(settings: Settings, sql: Sql | None) -> Sequence[Finding]:
    """Check its tables, write access, disk space and clock."""
    place = _examine_file(settings.sqlite_path, sql) if settings.is_embedded else [_examine_server(sql)]
    if sql is None:
        return place
    clock = [] if settings.is_embedded else [_examine_clock(sql)]
    return [_examine_version(sql), *place, *clock]


def unreachable(settings: Settings, error: Exception) -> Finding:
    """Return the problem of a database that cannot be opened."""
    if settings.is_embedded:
        remedy = f"check that {settings.sqlite_path} is a Redrive database that this user may read and write"
    else:
        remedy = "check that PostgreSQL runs, and that host, name, user and password in REDRIVE_DATABASE_URL are right"
    return problem("database", f"it cannot be opened: {' '.join(str(error).split())}", remedy)


def _examine_version(sql: Sql) -> Finding:
    try:
        version = schema.version_of(sql)
    except NO_TABLE:
        return ok("database", "it is empty: the first start creates its tables")
    if version > schema.VERSION:
        message = f"schema version {version}, and this release knows versions up to {schema.VERSION}"
        return problem("database", message, "start the release that created it, or a newer one")
    return ok("database", f"it can be read, schema version {version}")


def _examine_file(path: Path, sql: Sql | None) -> Sequence[Finding]:
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return [problem("database", f"the folder {folder} is missing or not writable", "create it for this user")]
    return [_examine_writing(path, sql), _examine_disk(folder)]


def _examine_writing(path: Path, sql: Sql | None) -> Finding:
    if sql is None:
        return ok("database", f"{path} does not exist yet: the first start creates it")
    try:
        sql.execute("BEGIN IMMEDIATE")
        sql.execute("ROLLBACK")
    except sqlite3.Error as error:
        return problem("database", f"it cannot be written: {error}", f"give {path} and its -wal file to this user")
    return ok("database", "it can be written")


def _examine_disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    message = f"{free / 1024**3:.1f} GiB are free on the disk of the database"
    if free >= LOW_DISK:
        return ok("disk", message)
    remedy = (
        "free space: a million deliveries take about 1 GiB; `redrive cleanup` and `redrive-server archive` free some"
    )
    return (warning if free >= FULL_DISK else problem)("disk", message, remedy)


def _examine_server(sql: Sql | None) -> Finding:
    row = sql and sql.row(
        """
        SELECT pg_is_in_recovery() AS is_replica, current_setting('transaction_read_only') AS read_only,
               has_schema_privilege(current_schema(), 'CREATE') AS may_create
        """
    )
    if not row or row["is_replica"] or row["read_only"] == "on":
        return problem("database", "it is a replica, or read-only", "set REDRIVE_DATABASE_URL to the primary")
    if not row["may_create"]:
        remedy = (
            "GRANT CREATE ON SCHEMA to the role of REDRIVE_DATABASE_URL, or let its owner run `redrive-server migrate`"
        )
        return warning("database", "this role may not create tables", remedy)
    return ok("database", "it can be written")


def _examine_clock(sql: Sql) -> Finding:
    return compared("the database's", timedelta(microseconds=time.time_ns() // 1_000 - sql.clock()))


def compared(whose: str, ahead: timedelta) -> Finding:
    """Return the finding for a clock of this machine that is so much ahead of another one.

    Retry-After dates, schedule times and signed tokens depend on this machine's clock.
    """
    if abs(ahead) <= CLOCK_AGREES:
        return ok("clock", f"it agrees with {whose}")
    where = "ahead of" if ahead > timedelta(0) else "behind"
    message = f"this machine's clock is {abs(ahead).total_seconds():.0f} s {where} {whose}"
    return (warning if abs(ahead) <= CLOCK_IS_WRONG else problem)(
        "clock", message, "synchronise both clocks by NTP (timedatectl set-ntp true)"
    )
