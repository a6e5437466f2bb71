"""The erasures table: erased persons, and the log position of their erasure."""

from collections.abc import Sequence

from domain.event import RecordedEvent
from domain.retention_events import PersonErased
from projections.sql import BulkRows, Sql

TABLES = (
    "CREATE TABLE IF NOT EXISTS erasures (recipient_id TEXT PRIMARY KEY, position BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS erasures_in_order ON erasures (position)",
)


def apply(sql: Sql, recorded: RecordedEvent) -> None:
    """Blank the erased person's names, and mark them as erased in all messages so far."""
    event = recorded.event
    if not isinstance(event, PersonErased):
        return
    given = BulkRows((("message_id", str),), [(message_id,) for message_id in event.messages])
    for statement in (_BLANK_RECIPIENTS, _BLANK_DELIVERIES):
        sql.execute(statement, {"recipient_id": event.recipient_id}, given)
    sql.execute(
        """
        INSERT INTO erasures (recipient_id, position) VALUES (:recipient_id, :position)
        ON CONFLICT (recipient_id) DO UPDATE SET position = excluded.position
        """,
        {"recipient_id": event.recipient_id, "position": recorded.position},
    )


_BLANK_RECIPIENTS = """
    UPDATE recipients SET recipient_name = '', is_erased = 1 FROM given
    WHERE recipients.message_id = given.message_id AND recipients.recipient_id = :recipient_id
"""
_BLANK_DELIVERIES = """
    UPDATE deliveries SET recipient_name = '' FROM given
    WHERE deliveries.message_id = given.message_id AND deliveries.recipient_id = :recipient_id
"""


def messages_of_person(sql: Sql, recipient_id: str) -> Sequence[str]:
    """Return the messages that have a person as a recipient, not erased since; one look-up per existing message."""
    rows = sql.rows(
        """
        SELECT message_id FROM messages
        WHERE (SELECT is_erased FROM recipients
               WHERE recipients.message_id = messages.message_id AND recipients.recipient_id = :recipient_id) = 0
        """,
        {"recipient_id": recipient_id},
    )
    return [row["message_id"] for row in rows]


def is_erased(sql: Sql, recipient_id: str) -> bool:
    """Return whether the person was erased at any time."""
    row = sql.row("SELECT 1 FROM erasures WHERE recipient_id = :recipient_id", {"recipient_id": recipient_id})
    return row is not None


def ever_erased(sql: Sql, recipient_ids: Sequence[str]) -> frozenset[str]:
    """Return those of the recipients that were erased at any time."""
    if not recipient_ids:
        return frozenset()
    rows = sql.rows(
        """
        SELECT given.recipient_id FROM given
        WHERE (SELECT position FROM erasures WHERE erasures.recipient_id = given.recipient_id) IS NOT NULL
        """,
        given=BulkRows((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)


def erased_recipients(sql: Sql, message_id: str, recipient_ids: Sequence[str]) -> frozenset[str]:
    """Return those of a message's recipients that were erased after it was planned."""
    rows = sql.rows(
        """
        SELECT given.recipient_id FROM given
        WHERE (SELECT is_erased FROM recipients
               WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id) = 1
        """,
        {"message_id": message_id},
        BulkRows((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)
