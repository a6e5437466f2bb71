"""The page_pauses table: pauses that the platform asked for, by page.

A pause is not an event, because it depends only on the platform's last answers. A rebuild does not restore the table.
A row stays after the end of its pause; readers compare it with the database's clock.
"""

from collections.abc import Collection, Mapping

import msgspec

from domain.fault import ErrorType, Fault
from projections.sql import BulkRows, Micros, Row, Sql

TABLE = """
    CREATE TABLE IF NOT EXISTS page_pauses (
        page_id TEXT PRIMARY KEY,
        pause_reason TEXT NOT NULL,
        pause_code INTEGER NOT NULL,
        pause_subcode INTEGER NOT NULL,
        pause_error_type TEXT,
        pause_time BIGINT NOT NULL,
        pause_until BIGINT NOT NULL
    )
    """


class PauseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the page_pauses table; `error_type` is None if usage headers, not an error, caused the pause."""

    reason: str
    error_code: int
    error_subcode: int
    error_type: ErrorType | None
    time: Micros
    until: Micros


def record(sql: Sql, page_id: str, reason: str, fault: Fault | None, *, until: Micros) -> None:
    """Record a pause. If another pause is not over, the later end counts, and the start of the earlier one stays."""
    sql.execute(
        """
        INSERT INTO page_pauses (page_id, pause_reason, pause_code, pause_subcode, pause_error_type, pause_time,
                                 pause_until)
        VALUES (:page_id, :reason, :code, :subcode, :error_type, :now, :until)
        ON CONFLICT (page_id) DO UPDATE SET
            pause_reason = excluded.pause_reason, pause_code = excluded.pause_code,
            pause_subcode = excluded.pause_subcode, pause_error_type = excluded.pause_error_type,
            pause_time = CASE WHEN page_pauses.pause_until > excluded.pause_time
                              THEN page_pauses.pause_time ELSE excluded.pause_time END,
            pause_until = excluded.pause_until
        WHERE page_pauses.pause_until < excluded.pause_until
        """,
        {
            "page_id": page_id,
            "reason": reason,
            "code": fault.code if fault else 0,
            "subcode": fault.subcode if fault else 0,
            "error_type": fault.type.value if fault else None,
            "now": sql.clock(),
            "until": until,
        },
    )


def delete(sql: Sql, page_id: str) -> None:
    """End a page's pause."""
    sql.execute("DELETE FROM page_pauses WHERE page_id = :page_id", {"page_id": page_id})


def of_pages(sql: Sql, page_ids: Collection[str]) -> Mapping[str, PauseRow]:
    """Return the current pauses of these pages."""
    rows = sql.rows(
        "SELECT page_pauses.* FROM given CROSS JOIN page_pauses WHERE page_pauses.page_id = given.page_id",
        given=BulkRows((("page_id", str),), [(page_id,) for page_id in page_ids]),
    )
    return {row["page_id"]: pause for row in rows if (pause := current_pause(sql, row)) is not None}


def current_pause(sql: Sql, row: Row) -> PauseRow | None:
    """Return the pause in a row with the columns of page_pauses; None if there is none, or it is over."""
    if row["pause_until"] is None or row["pause_until"] <= sql.clock():
        return None
    return PauseRow(
        reason=row["pause_reason"],
        error_code=row["pause_code"],
        error_subcode=row["pause_subcode"],
        error_type=ErrorType(row["pause_error_type"]) if row["pause_error_type"] else None,
        time=row["pause_time"],
        until=row["pause_until"],
    )
