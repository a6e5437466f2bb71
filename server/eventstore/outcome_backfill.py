"""The time since when outcomes are counted. A database of an earlier release has events that it did not count."""

from projections.sql import Micros, Sql


def record_start(sql: Sql) -> None:
    """Store the time since when outcomes are counted, unless it is stored: now if the log has events, else 0."""
    sql.execute(
        """
        INSERT INTO outcomes_counted (since)
        SELECT CASE WHEN EXISTS (SELECT 1 FROM stored_events) THEN :now ELSE 0 END
        WHERE NOT EXISTS (SELECT 1 FROM outcomes_counted)
        """,
        {"now": sql.clock()},
    )


def mark_complete(sql: Sql) -> None:
    """Store that the outcomes of the whole log are counted."""
    sql.execute("UPDATE outcomes_counted SET since = 0")


def counted_since(sql: Sql) -> Micros:
    """Return the time before which outcomes may not be counted; 0 if all are."""
    row = sql.row("SELECT since FROM outcomes_counted")
    return row["since"] if row else 0
