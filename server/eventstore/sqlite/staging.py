"""Read models built anew in a file beside the database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsourcing.sqlite import SQLiteCursor

from projections.sql import Sql
from server.eventstore.sqlite.sql import SqliteSql


class SqliteStaging:
    """See StagingReadModels. The lock on the database's own file keeps everybody else away."""

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
        """A transaction that knows its own tables only."""
        with self._transaction("BEGIN") as sql:
            yield sql

    @contextmanager
    def comparing(self) -> Iterator[Sql]:
        """A transaction that knows the live database too, whose log nobody else writes meanwhile."""
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
        """Copies its rows in the place of the live ones: a table cannot move to another file."""
        sql.execute(f"DELETE FROM {self.live}.{table}")  # noqa: S608 - our own names
        sql.execute(f"INSERT INTO {self.live}.{table} SELECT * FROM {self.own}.{table}")  # noqa: S608

    def clear(self) -> None:
        """Forgets all that it holds."""
        self.remove()
        self._connection = self._connect()

    def remove(self) -> None:
        """Leaves nothing behind, and closes it."""
        self.close()
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def close(self) -> None:
        """Lets it go; what it holds is there when it is opened again."""
        self._connection.close()
