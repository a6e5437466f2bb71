"""SQLite behind the projections' SQL."""

import sqlite3
import time
from collections.abc import Sequence
from functools import lru_cache

from eventsourcing.sqlite import SQLiteCursor

from projections.sql import BulkRows, Columns, Micros, Parameters, Row


@lru_cache(maxsize=200)
def with_bulk_rows(statement: str, columns: Columns) -> str:
    """The statement with the rows that it calls `given`; made once, so that the planner may put an index on them."""
    listed = ", ".join(f"value ->> {index} AS {name}" for index, (name, _) in enumerate(columns))
    return f"WITH given AS MATERIALIZED (SELECT {listed} FROM json_each(:given)) {statement}"  # noqa: S608 - own words


class SqliteSql:
    """A cursor inside a transaction. Rows come as dicts."""

    log_position = "rowid"

    def __init__(self, cursor: SQLiteCursor) -> None:
        self._cursor = cursor.sqlite_cursor

    def execute(self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None) -> None:
        """Runs a statement."""
        self._run(statement, parameters, given)

    def rows(
        self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None
    ) -> Sequence[Row]:
        """All rows of a query."""
        found = self._run(statement, parameters, given)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def clock(self) -> Micros:
        """This machine's clock: the database is nobody else's."""
        return time.time_ns() // 1_000

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """The first row of a query, if any."""
        found = self._run(statement, parameters, None).fetchone()
        return None if found is None else dict(found)

    def _run(self, statement: str, parameters: Parameters | None, given: BulkRows | None) -> sqlite3.Cursor:
        if given is None:
            return self._cursor.execute(statement, parameters or {})
        return self._cursor.execute(
            with_bulk_rows(statement, given.columns), {**(parameters or {}), "given": given.as_json()}
        )
