"""Staging read models on SQLite: a second file next to the database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsourcing.sqlite import SQLiteCursor

from projections.sql import Sql
from server.eventstore.sqlite.sql import SqliteSql


class SqliteStaging:
    """See StagingReadModels. The lock on the database file keeps other processes out."""

    own = "main"
    live = "live"

    def __init__(self, database: Path, path: Path) -> None:
        self._database = database
        self._path = path
        self._connection = self._connect()

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    @contextmanager
    def building(self) -> Iterator[Sql]:
        """Open a transaction that sees the staging tables only."""
        with self._transaction("BEGIN") as sql:
            yield sql

    @contextmanager
    def comparing(self) -> Iterator[Sql]:
        """Open a transaction that sees the live database too. No other process has the database open."""
        self._connection.execute("ATTACH ? AS live", (str(self._database),))
        try:
            with self._transaction("BEGIN IMMEDIATE") as sql:
                yield sql
        finally:
            self._connection.execute("DETACH live")

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Sql]:
        with self._connection:
            self._connection.execute(begin)
            yield SqliteSql(SQLiteCursor(self._connection.cursor()))

    def replace(self, sql: Sql, table: str) -> None:
        """Replace the live table's rows by copies: a table cannot be moved to another file."""
        sql.execute(f"DELETE FROM {self.live}.{table}")  # noqa: S608 - our own names
        sql.execute(f"INSERT INTO {self.live}.{table} SELECT * FROM {self.own}.{table}")  # noqa: S608

    def clear(self) -> None:
        """Delete all staging tables."""
        self.remove()
        self._connection = self._connect()

    def remove(self) -> None:
        """Close, and delete the file."""
        self.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def close(self) -> None:
        """Close; the staging tables are there when it is opened again."""
        self._connection.close()
