"""Delivery reports of a message or a page: sums over the outcomes tables."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.owner import ANY_OWNER
from projections.message_rows import MessageRow, message_row
from projections.outcomes import HOUR
from projections.sql import BulkRows, Micros, Sql

MAX_ERRORS = 10  # errors of a report
MAX_TIME = 2**62


class ReportFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The subject of a report: a message or a page, and a time range, which is extended to whole hours."""

    owner: str
    message_id: str = ""
    page_id: str = ""
    start: Micros = 0
    end: Micros = MAX_TIME

    @property
    def is_limited(self) -> bool:
        """Whether the report has a time range."""
        return (self.start, self.end) != (0, MAX_TIME)

    def parameters(self) -> dict[str, object]:
        """Return the parameters of the SQL statements."""
        start, end = self.start // HOUR * HOUR, -(-self.end // HOUR) * HOUR
        return {**msgspec.structs.asdict(self), "start": start, "end": min(end, MAX_TIME)}

    @property
    def of_owner(self) -> str:
        """The SQL condition for the owner; empty for ANY_OWNER."""
        return "" if self.owner == ANY_OWNER else "AND owner = :owner"

    @property
    def attempts(self) -> str:
        """The SQL table and condition for the attempts of the report.

        Rows below 0 are left out: their hours were only partly counted.
        """
        if self.message_id:
            subject = "outcomes WHERE message_id = :message_id"
        else:
            subject = f"page_outcomes WHERE page_id = :page_id {self.of_owner}"
        return f"{subject} AND hour >= :start AND hour < :end AND deliveries > 0"


class OutcomeCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The number of attempts by outcome."""

    sent: int
    failed: int
    unconfirmed: int

    @property
    def total(self) -> int:
        """The number of all attempts."""
        return self.sent + self.failed + self.unconfirmed


class ErrorCountRow(msgspec.Struct, frozen=True, kw_only=True):
    """Failed and unconfirmed attempts with the same error."""

    error_type: str
    error_code: int
    error_subcode: int
    error_message: str
    deliveries: int


_OUTCOME_SUMS = ", ".join(
    f"CAST(COALESCE(SUM(CASE status WHEN '{status.upper()}' THEN deliveries END), 0) AS BIGINT) AS {status}"
    for status in ("sent", "failed", "unconfirmed")
)


def counts_by_attempt(sql: Sql, wanted: ReportFilter) -> Mapping[int, OutcomeCounts]:
    """Return the counts by attempt number, in order."""
    statement = f"""
        SELECT attempt_number AS part, {_OUTCOME_SUMS} FROM {wanted.attempts} GROUP BY attempt_number ORDER BY 1
    """  # noqa: S608 - here and below: constants of this module
    return _by_part(sql, statement, wanted)


def counts_by_hour(sql: Sql, wanted: ReportFilter) -> Mapping[Micros, OutcomeCounts]:
    """Return the counts by the hour in which the outcome became known, in order."""
    statement = f"SELECT hour AS part, {_OUTCOME_SUMS} FROM {wanted.attempts} GROUP BY hour ORDER BY 1"  # noqa: S608
    return _by_part(sql, statement, wanted)


def _by_part(sql: Sql, statement: str, wanted: ReportFilter) -> Mapping[int, OutcomeCounts]:
    rows = sql.rows(statement, wanted.parameters())
    return {
        row["part"]: OutcomeCounts(sent=row["sent"], failed=row["failed"], unconfirmed=row["unconfirmed"])
        for row in rows
    }


def most_common_errors(sql: Sql, wanted: ReportFilter) -> Sequence[ErrorCountRow]:
    """Return the most common errors, the most common first."""
    rows = sql.rows(
        f"""
        SELECT error_type, error_code, error_subcode, MIN(error_message) AS error_message,
               CAST(SUM(deliveries) AS BIGINT) AS deliveries
        FROM {wanted.attempts} AND error_type <> ''
        GROUP BY error_type, error_code, error_subcode
        ORDER BY 5 DESC, error_type, error_code, error_subcode LIMIT {MAX_ERRORS}
        """,  # noqa: S608
        wanted.parameters(),
    )
    return [msgspec.convert(dict(row), ErrorCountRow) for row in rows]


def first_attempt_counts(sql: Sql, wanted: ReportFilter, message_ids: Sequence[str]) -> Mapping[str, OutcomeCounts]:
    """Return the counts of first attempts by message; messages without attempts are left out."""
    rows = sql.rows(
        f"""
        SELECT outcomes.message_id, {_OUTCOME_SUMS} FROM given CROSS JOIN outcomes
        WHERE outcomes.message_id = given.message_id AND outcomes.hour >= :start AND outcomes.hour < :end
          AND outcomes.attempt_number = 1 AND outcomes.deliveries > 0
        GROUP BY outcomes.message_id
        """,  # noqa: S608
        wanted.parameters(),
        BulkRows((("message_id", str),), [(message_id,) for message_id in message_ids]),
    )
    return {
        row["message_id"]: OutcomeCounts(sent=row["sent"], failed=row["failed"], unconfirmed=row["unconfirmed"])
        for row in rows
    }


def list_messages(
    sql: Sql, wanted: ReportFilter, *, before: tuple[Micros, str] | None, limit: int
) -> Sequence[MessageRow]:
    """Return a page's messages, newest first, older than `before` (creation time and id of the last one listed).

    With a time range only messages with attempts in it are returned.
    """
    time, message_id = before or (MAX_TIME, "")
    has_attempts = """
        AND create_time < :end AND EXISTS (
            SELECT 1 FROM outcomes
            WHERE outcomes.message_id = messages.message_id AND outcomes.hour >= :start AND outcomes.hour < :end
              AND outcomes.deliveries > 0)
    """
    rows = sql.rows(
        f"""
        SELECT * FROM messages
        WHERE is_visible = 1 AND page_id = :page_id AND (create_time, message_id) < (:time, :last_id)
          {wanted.of_owner}
          {has_attempts if wanted.is_limited else ""}
        ORDER BY create_time DESC, message_id DESC LIMIT :limit
        """,  # noqa: S608
        {**wanted.parameters(), "time": time, "last_id": message_id, "limit": limit},
    )
    return [message_row(row) for row in rows]
