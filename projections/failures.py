"""Failures: how many recipients of a message stand under each error type."""

from collections.abc import Mapping

from domain.fault import ErrorType
from domain.message_events import MessageAbandoned
from projections.recorded import Recorded
from projections.sql import Given, Sql

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS failures (
        message_id TEXT NOT NULL,
        error_type TEXT NOT NULL,
        recipients INTEGER NOT NULL,
        PRIMARY KEY (message_id, error_type)
    )
    """,
)


def apply(sql: Sql, recorded: Recorded) -> None:
    """An abandoned message never had failures; all else comes through add_counts."""
    if isinstance(recorded.event, MessageAbandoned):
        sql.execute("DELETE FROM failures WHERE message_id = :message_id", {"message_id": recorded.event.message_id})


def add_counts(sql: Sql, message_id: str, changes: Mapping[str, int]) -> None:
    """Adds to a message's failures by error type."""
    if not any(changes.values()):
        return
    sql.execute(
        """
        INSERT INTO failures (message_id, error_type, recipients)
        SELECT :message_id, error_type, change FROM given WHERE change <> 0
        ON CONFLICT (message_id, error_type) DO UPDATE SET recipients = failures.recipients + excluded.recipients
        """,
        {"message_id": message_id},
        Given((("error_type", str), ("change", int)), list(changes.items())),
    )


def by_type(sql: Sql, message_id: str) -> Mapping[ErrorType, int]:
    """Failed and unconfirmed recipients of a message by the type of their last error, commonest first."""
    rows = sql.rows(
        "SELECT error_type, recipients FROM failures WHERE message_id = :message_id AND recipients > 0 "
        "ORDER BY recipients DESC, error_type",
        {"message_id": message_id},
    )
    return {ErrorType(row["error_type"]): row["recipients"] for row in rows}
