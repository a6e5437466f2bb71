"""Erasures: who was erased, and when in the log's order; no name of theirs stays in any read model."""

from collections.abc import Sequence

from domain.person_events import PersonErased
from projections.recorded import Recorded
from projections.sql import Given, Sql

TABLES = (
    "CREATE TABLE IF NOT EXISTS erasures (recipient_id TEXT PRIMARY KEY, position BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS erasures_in_order ON erasures (position)",
)


def apply(sql: Sql, recorded: Recorded) -> None:
    """Blanks the person's names, and marks all that was planned for them so far."""
    event = recorded.event
    if not isinstance(event, PersonErased):
        return
    given = Given((("message_id", str),), [(message_id,) for message_id in event.messages])
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


def messages_of(sql: Sql, recipient_id: str) -> Sequence[str]:
    """The messages that know a person who was not erased since; a look-up in each message there is."""
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
    """Somebody asked for it before."""
    row = sql.row("SELECT 1 FROM erasures WHERE recipient_id = :recipient_id", {"recipient_id": recipient_id})
    return row is not None


def erased_people(sql: Sql, recipient_ids: Sequence[str]) -> frozenset[str]:
    """Those who were erased at any time."""
    if not recipient_ids:
        return frozenset()
    rows = sql.rows(
        """
        SELECT given.recipient_id FROM given
        WHERE (SELECT position FROM erasures WHERE erasures.recipient_id = given.recipient_id) IS NOT NULL
        """,
        given=Given((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)


def erased_among(sql: Sql, message_id: str, recipient_ids: Sequence[str]) -> frozenset[str]:
    """Those of a message's recipients who were erased after it was planned."""
    rows = sql.rows(
        """
        SELECT given.recipient_id FROM given
        WHERE (SELECT is_erased FROM recipients
               WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id) = 1
        """,
        {"message_id": message_id},
        Given((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)
