"""A step of migrations: adding columns."""

from collections.abc import Sequence

from projections.sql import Sql


def add_columns(sql: Sql, table: str, definitions: Sequence[str]) -> bool:
    """Add those of the columns that the table lacks, in order; return whether it lacked any.

    A definition is that of the CREATE statement, where added columns come last and in the same order: a rebuild
    compares tables by the order of their columns. A column needs a default or allows NULL, because servers of the
    previous release still insert rows without it.
    """
    existing = _columns_of(sql, table)
    missing = [definition for definition in definitions if definition.split()[0] not in existing]
    for definition in missing:
        sql.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    return bool(missing)


def _columns_of(sql: Sql, table: str) -> frozenset[str]:
    """Return the names of a table's columns, also of an empty table, on both databases."""
    row = sql.row(f"SELECT {table}.* FROM (SELECT 1 AS one) AS one LEFT JOIN {table} ON 1 = 0")  # noqa: S608 - our own names
    return frozenset(row or ())
