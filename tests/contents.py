"""Reads all rows of the read models, for comparison."""

from collections.abc import Mapping, Sequence

from projections import read_models
from projections.sql import Row, Sql


def contents(sql: Sql) -> Mapping[str, Sequence[Row]]:
    """Return the rows of every read model in a fixed order; equal databases give equal results."""
    return {
        name: sorted((dict(row) for row in sql.rows(f"SELECT * FROM {name}")), key=repr)  # noqa: S608 - our own names
        for name in read_models.TABLE_NAMES
    }
