"""All that the read models hold, to compare it."""

from collections.abc import Mapping, Sequence

from projections import read_models
from projections.sql import Row, Sql


def contents(sql: Sql) -> Mapping[str, Sequence[Row]]:
    """Every row of every read model, in an order of their own: two equal databases give equal contents."""
    return {
        name: sorted((dict(row) for row in sql.rows(f"SELECT * FROM {name}")), key=repr)  # noqa: S608 - our own names
        for name in read_models.NAMES
    }
