"""The projections' Sql interface on SQLite."""

import sqlite3
import time
from collections.abc import Sequence
from functools import lru_cache

from eventsourcing.sqlite import SQLiteCursor

from projections.sql import BulkRows, Columns, Micros, Parameters, Row


@lru_cache(maxsize=200)
def with_bulk_rows(statement: str, columns: Columns) -> str:
    """Return the statement with a table `given` of bulk rows; materialized, so that SQLite may index it."""
    listed = ", ".join(f"value ->> {index} AS {name}" for index, (name, _) in enumerate(columns))
    return f"WITH given AS MATERIALIZED (SELECT {listed} FROM json_each(:given)) {statement}"  # noqa: S608 - own words


class SqliteSql:
    """The SQL of one transaction, on its cursor. Rows are dicts."""

    log_position = "rowid"

    def __init__(self, cursor: SQLiteCursor) -> None:
        self._cursor = cursor.sqlite_cursor

    def execute(self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None) -> None:
        """Run a statement."""
        self._run(statement, parameters, given)

    def rows(
        self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None
    ) -> Sequence[Row]:
        """Return all rows of a query."""
        found = self._run(statement, parameters, given)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def clock(self) -> Micros:
        """Return this machine's time: no process of another machine uses the database."""
        return time.time_ns() // 1_000

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query; None if there is none."""
        found = self._run(statement, parameters, None).fetchone()
        return None if found is None else dict(found)

    def _run(self, statement: str, parameters: Parameters | None, given: BulkRows | None) -> sqlite3.Cursor:
        if given is None:
            return self._cursor.execute(statement, parameters or {})
        return self._cursor.execute(
            with_bulk_rows(statement, given.columns), {**(parameters or {}), "given": given.as_json()}
        )
