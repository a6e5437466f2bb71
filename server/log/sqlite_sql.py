"""SQLite behind the projections' SQL."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from eventsourcing.sqlite import SQLiteCursor

from projections.sql import Micros, Parameters, Row


class SqliteSql:
    """A cursor inside a transaction. Rows come as dicts."""

    def __init__(self, cursor: SQLiteCursor) -> None:
        self._cursor = cursor.sqlite_cursor

    def execute(self, statement: str, parameters: Parameters | None = None) -> int:
        """Runs a statement; answers how many rows it changed."""
        return self._cursor.execute(statement, parameters or {}).rowcount

    def executemany(self, statement: str, rows: Iterable[Parameters]) -> None:
        """Runs a statement once per row."""
        self._cursor.executemany(statement, rows)

    def rows(self, statement: str, parameters: Parameters | None = None) -> Sequence[Row]:
        """All rows of a query."""
        return [_as_row(row) for row in self._cursor.execute(statement, parameters or {})]

    def clock(self) -> Micros:
        """This machine's clock: the database is nobody else's."""
        return time.time_ns() // 1_000

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """The first row of a query, if any."""
        found = self._cursor.execute(statement, parameters or {}).fetchone()
        return None if found is None else _as_row(found)


def _as_row(row: Any) -> Row:
    return dict(row)
