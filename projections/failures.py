"""The failures table: the number of failed and unconfirmed recipients of a message by error type."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.event import RecordedEvent
from domain.fault import ErrorType
from domain.message_events import MessageAbandoned
from projections.sql import BulkRows, Micros, Row, Sql

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


class ErrorTypeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message's recipients with one error type, the time of their first and last failure, and the last error."""

    message_id: str
    error_type: str
    recipients: int
    first_time: Micros
    last_time: Micros
    error_code: int
    error_subcode: int
    error_message: str


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Delete the failures of an abandoned message; other events use add_counts."""
    if isinstance(recorded.event, MessageAbandoned):
        sql.execute("DELETE FROM failures WHERE message_id = :message_id", {"message_id": recorded.event.message_id})


def add_counts(sql: Sql, message_id: str, changes: Mapping[str, int]) -> None:
    """Add changes, by error type, to a message's failures."""
    if not any(changes.values()):
        return
    sql.execute(
        """
        INSERT INTO failures (message_id, error_type, recipients)
        SELECT :message_id, error_type, change FROM given WHERE change <> 0
        ON CONFLICT (message_id, error_type) DO UPDATE SET recipients = failures.recipients + excluded.recipients
        """,
        {"message_id": message_id},
        BulkRows((("error_type", str), ("change", int)), list(changes.items())),
    )


def counts_by_type(sql: Sql, message_id: str) -> Mapping[ErrorType, int]:
    """Return the number of a message's failed and unconfirmed recipients by their last error type, largest first."""
    return counts_by_type_of_each(sql, [message_id])[message_id]


def counts_by_type_of_each(sql: Sql, message_ids: Collection[str]) -> Mapping[str, Mapping[ErrorType, int]]:
    """Return the result of by_type for each of several messages."""
    rows = sql.rows(
        """
        SELECT failures.* FROM given CROSS JOIN failures
        WHERE failures.message_id = given.message_id AND failures.recipients > 0
        ORDER BY failures.recipients DESC, failures.error_type
        """,
        given=BulkRows((("message_id", str),), [(message_id,) for message_id in message_ids]),
    )
    found: dict[str, dict[ErrorType, int]] = {message_id: {} for message_id in message_ids}
    for row in rows:
        found[row["message_id"]][ErrorType(row["error_type"])] = row["recipients"]
    return found


def summarize(sql: Sql, message_ids: Sequence[str]) -> Sequence[ErrorTypeRow]:
    """Return a row for each message and last error type, in the order of the messages, the largest type first."""
    rows = sql.rows(
        f"""
        SELECT failures.message_id, failures.error_type, failures.recipients,
               (SELECT MIN(recipients.last_attempt_time) {_OF_TYPE}) AS first_time,
               (SELECT recipients.last_attempt_time || ' ' || recipients.error_code || ' ' || recipients.error_subcode
                       || ' ' || recipients.error_message
                {_OF_TYPE} ORDER BY recipients.last_attempt_time DESC, recipients.recipient_id DESC LIMIT 1
               ) AS latest
        FROM given CROSS JOIN failures
        WHERE failures.message_id = given.message_id AND failures.recipients > 0
        ORDER BY given.row_index, failures.recipients DESC, failures.error_type
        """,  # noqa: S608 - constants of this module
        given=BulkRows((("row_index", int), ("message_id", str)), list(enumerate(message_ids))),
    )
    return [_error_type_row(row) for row in rows]


_OF_TYPE = """
    FROM recipients WHERE recipients.message_id = failures.message_id AND recipients.error_type = failures.error_type
"""


def _error_type_row(row: Row) -> ErrorTypeRow:
    """Return the row with the last error split up; the query joins its four values so that one search finds them."""
    last_time, code, subcode, message = row["latest"].split(" ", 3)
    return ErrorTypeRow(
        message_id=row["message_id"],
        error_type=row["error_type"],
        recipients=row["recipients"],
        first_time=row["first_time"],
        last_time=int(last_time),
        error_code=int(code),
        error_subcode=int(subcode),
        error_message=message,
    )
