"""The little of SQL that projections and queries use, the same for every database.

Statements name their parameters `:like_this`. Times are microseconds since 1970 (UTC), truth values 0 and 1.
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


Columns = tuple[tuple[str, type[int] | type[str]], ...]  # of many rows: the name of each, and what it holds


class Given(NamedTuple):
    """Many rows for one statement, which calls them `given`: a single call for the database, whatever their number."""

    columns: Columns
    rows: Sequence[Sequence[Any]]

    def as_json(self) -> str:
        """The rows as the parameter that carries them."""
        return msgspec.json.encode(self.rows).decode()


class Sql(Protocol):
    """One connection, inside a transaction; `log_position` is the column of an event's position in the log."""

    log_position: str

    def execute(self, statement: str, parameters: Parameters | None = None, given: Given | None = None) -> None:
        """Runs a statement; where it fails, a later call may be the one that raises.

        Whoever asks what it changed says RETURNING, and reads the rows.
        """
        ...

    def rows(self, statement: str, parameters: Parameters | None = None, given: Given | None = None) -> Sequence[Row]:
        """All rows of a query."""
        ...

    def clock(self) -> Micros:
        """The database's clock: leases are measured by it."""
        ...

    def row(self, statement: str, parameters: Parameters | None = None) -> Row | None:
        """The first row of a query, if any."""
        ...


def micros(time: datetime) -> Micros:
    """A time as the database keeps it."""
    return (time - _EPOCH) // _MICROSECOND


def from_micros(value: Micros) -> datetime:
    """A time as the domain keeps it."""
    return _EPOCH + timedelta(microseconds=value)


def one_of(column: str, name: str, values: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """A condition that a column is one of the values, and its parameters; an empty list of values is always true."""
    if not values:
        return "1 = 1", {}
    parameters = {f"{name}_{index}": value for index, value in enumerate(values)}
    return f"{column} IN ({', '.join(':' + key for key in parameters)})", parameters
