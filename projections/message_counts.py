"""Message counts, as they are checked: the sums of a message's row, and a recount of its recipients."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from projections.sql import Row, Sql, in_condition

_STATES = ("pending", "sending", "sent", "failed", "unconfirmed", "cancelled")


def counts_of(sql: Sql, message_ids: Collection[str]) -> Sequence[Row]:
    """Return the counts of these messages."""
    condition, parameters = in_condition("message_id", "id", sorted(message_ids))
    return _rows(sql, condition, parameters) if message_ids else ()


def counts_after(sql: Sql, message_id: str, limit: int) -> Sequence[Row]:
    """Return the counts of the next messages by id."""
    return _rows(sql, "message_id > :after ORDER BY message_id LIMIT :most", {"after": message_id, "most": limit})


def counts_of_unfinished(sql: Sql, limit: int) -> Sequence[Row]:
    """Return the counts of messages that are not completed."""
    return _rows(sql, "is_completed = 0 AND is_visible = 1 LIMIT :most", {"most": limit})


def _rows(sql: Sql, condition: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
    columns = ", ".join(("message_id", "total", "is_cleaned", *_STATES))
    return sql.rows(f"SELECT {columns} FROM messages WHERE {condition}", parameters)  # noqa: S608 - our own words


def recount(sql: Sql, message_id: str) -> Mapping[str, int]:
    """Return how many recipients of a message are in each state; reads all of them."""
    rows = sql.rows(
        "SELECT state, COUNT(*) AS recipients FROM recipients WHERE message_id = :message_id GROUP BY state",
        {"message_id": message_id},
    )
    return {row["state"].lower(): row["recipients"] for row in rows}


def imbalance(row: Row, recounted: Mapping[str, int] | None) -> int:
    """Return how many recipients a message's row counts twice or not at all; 0 is right."""
    total: int = abs(row["total"] - sum(row[state] for state in _STATES))
    if recounted is None:
        return total
    states: int = sum(abs(row[state] - recounted.get(state, 0)) for state in _STATES)
    return max(total, states)
