"""The projections' Sql interface on PostgreSQL."""

import re
from collections.abc import Sequence
from functools import lru_cache

from psycopg import Connection, Cursor
from psycopg.rows import DictRow

from projections.sql import BulkRows, Columns, Micros, Parameters, Row

_PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")
_TYPES = {int: "bigint", str: "text"}


@lru_cache(maxsize=2_000)
def translated(statement: str, columns: Columns = ()) -> bytes:
    """Return the statement with psycopg's parameters in place of `:name`, and with a table `given` of bulk rows."""
    whole = with_bulk_rows(statement, columns) if columns else statement
    return _PARAMETER.sub(r"%(\1)s", whole.replace("%", "%%")).encode()


def with_bulk_rows(statement: str, columns: Columns) -> str:
    """Return the statement with a table `given` of bulk rows."""
    listed = ", ".join(f"(value ->> {index})::{_TYPES[kind]} AS {name}" for index, (name, kind) in enumerate(columns))
    return f"WITH given AS MATERIALIZED (SELECT {listed} FROM jsonb_array_elements(:given::jsonb)) {statement}"  # noqa: S608


class PostgresSql:
    """The SQL of one transaction, on its connection. Rows are dicts.

    Each statement has its own cursor: in a pipeline, a reused cursor would return the earlier statement's rows.
    """

    log_position = "notification_id"

    def __init__(self, connection: Connection[DictRow]) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None) -> None:
        """Run a statement; in a pipeline, the next statement that waits for rows raises its error."""
        self._run(statement, parameters, given)

    def rows(
        self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None
    ) -> Sequence[Row]:
        """Return all rows of a query."""
        return self._run(statement, parameters, given).fetchall()

    def clock(self) -> Micros:
        """Return the database's time at this moment, not at the start of the transaction."""
        row = self._connection.execute(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now"
        ).fetchone()
        return 0 if row is None else row["now"]

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query; None if there is none."""
        return self._run(statement, parameters, None).fetchone()

    def _run(self, statement: str, parameters: Parameters | None, given: BulkRows | None) -> Cursor[DictRow]:
        if given is None:
            return self._connection.execute(translated(statement), parameters or {})
        return self._connection.execute(
            translated(statement, given.columns), {**(parameters or {}), "given": given.as_json()}
        )
