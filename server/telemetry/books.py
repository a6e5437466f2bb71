"""Do the books balance? A few messages at each look, unfinished ones first, all of them in the course of time."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from projections.sql import Row, Sql, one_of

logger = structlog.get_logger()

AT_ONCE = 200  # messages whose row is summed up at a look, and as many unfinished ones
RECOUNTED = 5  # of these, messages whose recipients are counted
MOST_RECIPIENTS = 20_000  # of a message that is recounted: a few milliseconds

_STATES = ("pending", "sending", "sent", "failed", "unconfirmed", "cancelled")


class Books:
    """What was found wrong is looked at again each time, until it is mended."""

    def __init__(self) -> None:
        self._after = ""
        self._turn = 0
        self._wrong: frozenset[str] = frozenset()

    def imbalance(self, sql: Sql) -> int:
        """Recipients that are counted twice or not at all, in the messages that were looked at; 0 is right."""
        rows = {row["message_id"]: row for row in (*self._known_wrong(sql), *_unfinished(sql), *self._next(sql))}
        recounted = self._recounted(rows)
        differences = {
            message_id: _difference(row, _recount(sql, message_id) if message_id in recounted else None)
            for message_id, row in rows.items()
        }
        self._tell({message_id: difference for message_id, difference in differences.items() if difference})
        return sum(differences.values())

    def _known_wrong(self, sql: Sql) -> Sequence[Row]:
        condition, parameters = one_of("message_id", "id", sorted(self._wrong))
        return _rows(sql, condition, parameters) if self._wrong else ()

    def _next(self, sql: Sql) -> Sequence[Row]:
        rows = _rows(
            sql, "message_id > :after ORDER BY message_id LIMIT :most", {"after": self._after, "most": AT_ONCE}
        )
        self._after = rows[-1]["message_id"] if len(rows) == AT_ONCE else ""
        return rows

    def _recounted(self, rows: Mapping[str, Row]) -> frozenset[str]:
        """The wrong ones, and a few in turn; recipients that were cleaned away are still in the message's counts."""
        countable = [key for key, row in rows.items() if row["total"] <= MOST_RECIPIENTS and not row["is_cleaned"]]
        self._turn = (self._turn + RECOUNTED) % max(1, len(countable))
        return frozenset((countable + countable)[self._turn :][:RECOUNTED]) | (self._wrong & frozenset(countable))

    def _tell(self, wrong: Mapping[str, int]) -> None:
        for message_id, difference in wrong.items():
            if message_id not in self._wrong:
                logger.error("books_imbalance", message=message_id, recipients=difference)
        self._wrong = frozenset(sorted(wrong)[:AT_ONCE])


def _unfinished(sql: Sql) -> Sequence[Row]:
    return _rows(sql, "is_completed = 0 AND is_visible = 1 LIMIT :most", {"most": AT_ONCE})


def _rows(sql: Sql, condition: str, parameters: Mapping[str, Any]) -> Sequence[Row]:
    columns = ", ".join(("message_id", "total", "is_cleaned", *_STATES))
    return sql.rows(f"SELECT {columns} FROM messages WHERE {condition}", parameters)  # noqa: S608 - our own words


def _recount(sql: Sql, message_id: str) -> Mapping[str, int]:
    rows = sql.rows(
        "SELECT state, COUNT(*) AS recipients FROM recipients WHERE message_id = :message_id GROUP BY state",
        {"message_id": message_id},
    )
    return {row["state"].lower(): row["recipients"] for row in rows}


def _difference(row: Row, recounted: Mapping[str, int] | None) -> int:
    total: int = abs(row["total"] - sum(row[state] for state in _STATES))
    if recounted is None:
        return total
    states: int = sum(abs(row[state] - recounted.get(state, 0)) for state in _STATES)
    return max(total, states)
