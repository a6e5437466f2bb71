"""Reports on how attempts went, of a message or of a page: sums of what stands in outcomes."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.owner import ANYBODY
from projections.message_rows import MessageRow, message_row
from projections.outcomes import HOUR
from projections.sql import Given, Micros, Sql

COMMONEST = 10  # errors of a report
FOREVER = 2**62


class ReportFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is about: a message, or else a page; and in which time, the whole hours of which are meant."""

    owner: str
    message_id: str = ""
    page_id: str = ""
    start: Micros = 0
    end: Micros = FOREVER

    @property
    def is_limited(self) -> bool:
        """It is about a certain time."""
        return (self.start, self.end) != (0, FOREVER)

    def parameters(self) -> dict[str, object]:
        """As the statements name them."""
        start, end = self.start // HOUR * HOUR, -(-self.end // HOUR) * HOUR
        return {**msgspec.structs.asdict(self), "start": start, "end": min(end, FOREVER)}

    @property
    def of_owner(self) -> str:
        """The condition on the owner, if one is meant."""
        return "" if self.owner == ANYBODY else "AND owner = :owner"

    @property
    def attempts(self) -> str:
        """The attempts that it is about, by table and condition; a row below 0 was not counted from its beginning."""
        if self.message_id:
            subject = "outcomes WHERE message_id = :message_id"
        else:
            subject = f"page_outcomes WHERE page_id = :page_id {self.of_owner}"
        return f"{subject} AND hour >= :start AND hour < :end AND deliveries > 0"


class EndingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts by how they ended."""

    sent: int
    failed: int
    unconfirmed: int

    @property
    def made(self) -> int:
        """All of them."""
        return self.sent + self.failed + self.unconfirmed


class ErrorRow(msgspec.Struct, frozen=True, kw_only=True):
    """Failed and unconfirmed attempts with the same error."""

    error_type: str
    error_code: int
    error_subcode: int
    error_message: str
    deliveries: int


_ENDINGS = ", ".join(
    f"CAST(COALESCE(SUM(CASE status WHEN '{status.upper()}' THEN deliveries END), 0) AS BIGINT) AS {status}"
    for status in ("sent", "failed", "unconfirmed")
)


def by_attempt(sql: Sql, wanted: ReportFilter) -> Mapping[int, EndingCounts]:
    """Attempts by their number, in order."""
    statement = f"SELECT attempt_number AS part, {_ENDINGS} FROM {wanted.attempts} GROUP BY attempt_number ORDER BY 1"  # noqa: S608 - here and below: our own words
    return _by_part(sql, statement, wanted)


def by_hour(sql: Sql, wanted: ReportFilter) -> Mapping[Micros, EndingCounts]:
    """Attempts by the hour in which their outcome was known, in order."""
    return _by_part(sql, f"SELECT hour AS part, {_ENDINGS} FROM {wanted.attempts} GROUP BY hour ORDER BY 1", wanted)  # noqa: S608


def _by_part(sql: Sql, statement: str, wanted: ReportFilter) -> Mapping[int, EndingCounts]:
    rows = sql.rows(statement, wanted.parameters())
    return {
        row["part"]: EndingCounts(sent=row["sent"], failed=row["failed"], unconfirmed=row["unconfirmed"])
        for row in rows
    }


def commonest_errors(sql: Sql, wanted: ReportFilter) -> Sequence[ErrorRow]:
    """The commonest errors, commonest first."""
    rows = sql.rows(
        f"""
        SELECT error_type, error_code, error_subcode, MIN(error_message) AS error_message,
               CAST(SUM(deliveries) AS BIGINT) AS deliveries
        FROM {wanted.attempts} AND error_type <> ''
        GROUP BY error_type, error_code, error_subcode
        ORDER BY 5 DESC, error_type, error_code, error_subcode LIMIT {COMMONEST}
        """,  # noqa: S608
        wanted.parameters(),
    )
    return [msgspec.convert(dict(row), ErrorRow) for row in rows]


def first_attempts(sql: Sql, wanted: ReportFilter, message_ids: Sequence[str]) -> Mapping[str, EndingCounts]:
    """How the first attempts of messages went, of those that have any."""
    rows = sql.rows(
        f"""
        SELECT outcomes.message_id, {_ENDINGS} FROM given CROSS JOIN outcomes
        WHERE outcomes.message_id = given.message_id AND outcomes.hour >= :start AND outcomes.hour < :end
          AND outcomes.attempt_number = 1 AND outcomes.deliveries > 0
        GROUP BY outcomes.message_id
        """,  # noqa: S608
        wanted.parameters(),
        Given((("message_id", str),), [(message_id,) for message_id in message_ids]),
    )
    return {
        row["message_id"]: EndingCounts(sent=row["sent"], failed=row["failed"], unconfirmed=row["unconfirmed"])
        for row in rows
    }


def messages(sql: Sql, wanted: ReportFilter, *, before: tuple[Micros, str] | None, limit: int) -> Sequence[MessageRow]:
    """A page's messages by age, newest first, after the last one seen; for a certain time those with attempts in it."""
    time, message_id = before or (FOREVER, "")
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
