"""The database as it is: nothing is made, changed or locked, so that it can be looked at while servers work."""

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

CONNECT_SECONDS = 5
LITTLE_ROOM = 1024**3  # bytes on the disk of an embedded database
NO_ROOM = 100 * 1024**2

AWAY = (sqlite3.Error, psycopg.Error)
NOT_THERE = (sqlite3.OperationalError, psycopg.errors.UndefinedTable)


@contextmanager
def looking(settings: Settings) -> Iterator[Sql | None]:
    """Questions to the database, each in a transaction of its own; None for a file that is not there yet."""
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
    """Its tables, whether it can be written, its room and its clock."""
    place = _examine_file(settings.sqlite_path, sql) if settings.is_embedded else [_examine_server(sql)]
    if sql is None:
        return place
    clock = [] if settings.is_embedded else [_examine_clock(sql)]
    return [_examine_version(sql), *place, *clock]


def unreachable(settings: Settings, error: Exception) -> Finding:
    """The database cannot be opened at all."""
    if settings.is_embedded:
        mend = f"see that {settings.sqlite_path} is a database of Redrive, and that this user may read and write it"
    else:
        mend = "see that PostgreSQL runs, and that host, name, user and password in REDRIVE_DATABASE_URL are right"
    return problem("database", f"it cannot be opened: {' '.join(str(error).split())}", mend)


def _examine_version(sql: Sql) -> Finding:
    try:
        version = schema.version_of(sql)
    except NOT_THERE:
        return ok("database", "it is empty: the first start makes its tables")
    if version > schema.VERSION:
        words = f"schema version {version}, and this release knows versions up to {schema.VERSION}"
        return problem("database", words, "start the release that brought it there, or a newer one")
    return ok("database", f"it can be read, schema version {version}")


def _examine_file(path: Path, sql: Sql | None) -> Sequence[Finding]:
    folder = path.absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return [problem("database", f"the folder {folder} is not there, or not writable", "make it, for this user")]
    return [_examine_writing(path, sql), _examine_room(folder)]


def _examine_writing(path: Path, sql: Sql | None) -> Finding:
    if sql is None:
        return ok("database", f"{path} is not there yet: the first start makes it")
    try:
        sql.execute("BEGIN IMMEDIATE")
        sql.execute("ROLLBACK")
    except sqlite3.Error as error:
        return problem("database", f"it cannot be written: {error}", f"make {path} and its -wal file this user's own")
    return ok("database", "it can be written")


def _examine_room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    words = f"{free / 1024**3:.1f} GiB are free on the disk of the database"
    if free >= LITTLE_ROOM:
        return ok("disk", words)
    mend = "make room: a million deliveries take about 1 GiB; `redrive cleanup` and `redrive-server archive` free some"
    return (warning if free >= NO_ROOM else problem)("disk", words, mend)


def _examine_server(sql: Sql | None) -> Finding:
    row = sql and sql.row(
        """
        SELECT pg_is_in_recovery() AS is_replica, current_setting('transaction_read_only') AS read_only,
               has_schema_privilege(current_schema(), 'CREATE') AS may_create
        """
    )
    if not row or row["is_replica"] or row["read_only"] == "on":
        return problem("database", "it is a replica, or read-only", "let REDRIVE_DATABASE_URL name the primary")
    if not row["may_create"]:
        mend = (
            "GRANT CREATE ON SCHEMA to the role of REDRIVE_DATABASE_URL, or let its owner run `redrive-server migrate`"
        )
        return warning("database", "this role may not make tables", mend)
    return ok("database", "it can be written")


def _examine_clock(sql: Sql) -> Finding:
    return compared("the database's", timedelta(microseconds=time.time_ns() // 1_000 - sql.clock()))


# Do clocks agree? Retry-After dates, schedule times and signed tokens are told by this machine's.


CLOSE = timedelta(seconds=3)  # a Date header tells whole seconds, and is some time on its way
FAR = timedelta(seconds=60)

_MEND = "set the clocks by NTP (timedatectl set-ntp true), on this machine and on that"


def compared(whose: str, ahead: timedelta) -> Finding:
    """What it means that this machine's clock is so much ahead of another one."""
    if abs(ahead) <= CLOSE:
        return ok("clock", f"it agrees with {whose}")
    where = "ahead of" if ahead > timedelta(0) else "behind"
    words = f"this machine's clock is {abs(ahead).total_seconds():.0f} s {where} {whose}"
    return (warning if abs(ahead) <= FAR else problem)("clock", words, _MEND)
