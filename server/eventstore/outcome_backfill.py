"""Since when outcomes are counted: a release that did not count them may have begun the database."""

from projections.sql import Micros, Sql


def begin(sql: Sql) -> None:
    """Writes down, once, whether anything was recorded before outcomes were counted."""
    sql.execute(
        """
        INSERT INTO outcomes_counted (since)
        SELECT CASE WHEN EXISTS (SELECT 1 FROM stored_events) THEN :now ELSE 0 END
        WHERE NOT EXISTS (SELECT 1 FROM outcomes_counted)
        """,
        {"now": sql.clock()},
    )


def complete(sql: Sql) -> None:
    """All that the log holds is counted."""
    sql.execute("UPDATE outcomes_counted SET since = 0")


def counted_since(sql: Sql) -> Micros:
    """What was recorded before this time may not be counted; 0 when all is."""
    row = sql.row("SELECT since FROM outcomes_counted")
    return row["since"] if row else 0
