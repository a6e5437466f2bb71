"""PostgreSQL behind the projections' SQL."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from psycopg import Cursor
from psycopg.rows import DictRow

from projections.sql import Micros, Parameters, Row

_PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")


@lru_cache(maxsize=2_000)
def translated(statement: str) -> bytes:
    """The statement with psycopg's parameters in place of `:like_this`."""
    return _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%")).encode()


class PostgresSql:
    """A cursor inside a transaction. Rows come as dicts."""

    def __init__(self, cursor: Cursor[DictRow]) -> None:
        self._cursor = cursor

    def execute(self, statement: str, parameters: Parameters | None = None) -> int:
        """Runs a statement; answers how many rows it changed."""
        return self._cursor.execute(translated(statement), parameters or {}).rowcount

    def executemany(self, statement: str, rows: Iterable[Parameters]) -> None:
        """Runs a statement once per row, all of them in one pipeline."""
        self._cursor.executemany(translated(statement), list(rows))

    def rows(self, statement: str, parameters: Parameters | None = None) -> Sequence[Row]:
        """All rows of a query."""
        return self._cursor.execute(translated(statement), parameters or {}).fetchall()

    def clock(self) -> Micros:
        """The database's clock, at this moment rather than at the transaction's begin."""
        row = self._cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now").fetchone()
        return 0 if row is None else row["now"]

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """The first row of a query, if any."""
        return self._cursor.execute(translated(statement), parameters or {}).fetchone()
