"""The interface between read models and databases, the same for SQLite and PostgreSQL.

Statements name their parameters `:like_this`. Times are microseconds since 1970 (UTC); Booleans are 0 and 1.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import msgspec

Parameters = Mapping[str, Any]
Row = Mapping[str, Any]
Micros = int

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


Columns = tuple[tuple[str, type[int] | type[str]], ...]  # the name and the type of each column


class BulkRows(NamedTuple):
    """Many rows for one statement, which reads them as the table `given`: one database call for all rows."""

    columns: Columns
    rows: Sequence[Sequence[Any]]

    def as_json(self) -> str:
        """Return the rows as one JSON parameter."""
        return msgspec.json.encode(self.rows).decode()


class Sql(Protocol):
    """One connection inside a transaction; `log_position` names the column of stored_events with the log position."""

    log_position: str

    def execute(self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None) -> None:
        """Run a statement; if it fails, a later call may raise the error.

        To get the changed rows, use RETURNING and rows().
        """
        ...

    def rows(
        self, statement: str, parameters: Parameters | None = None, given: BulkRows | None = None
    ) -> Sequence[Row]:
        """Return all rows of a query."""
        ...

    def clock(self) -> Micros:
        """Return the database's time, by which leases are measured."""
        ...

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """Return the first row of a query; None if there is none."""
        ...


def micros(time: datetime) -> Micros:
    """Return a time as the database stores it."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(value: Micros) -> datetime:
    """Return a stored time as a datetime."""
    return _EPOCH + timedelta(microseconds=value)


def in_condition(column: str, name: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """Return an SQL condition that a column has one of the values, and its parameters; true if there are no values."""
    if not values:
        return "1 = 1", {}
    parameters = {f"{name}_{index}": value for index, value in enumerate(values)}
    return f"{column} IN ({', '.join(':' + key for key in parameters)})", parameters
