"""Recipients: a row each, folded from all of its attempts, so that the books cannot drift (protocol rule 8)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.batch_events import (
    BatchCancelled,
    BatchCreated,
    BatchEvent,
    BatchRecipient,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
)
from domain.delivery import DeliveryStatus, deciding_attempt
from domain.message_events import MessageAbandoned
from projections import failures, messages
from projections.recorded import Recorded
from projections.sql import Row, Sql, micros

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS recipients (
        message_id TEXT NOT NULL,
        recipient_id TEXT NOT NULL,
        recipient_name TEXT NOT NULL,
        state TEXT NOT NULL,
        maybe_sent INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL,
        token_generation INTEGER NOT NULL DEFAULT 0,
        error_code INTEGER NOT NULL DEFAULT 0,
        error_subcode INTEGER NOT NULL DEFAULT 0,
        error_message TEXT NOT NULL DEFAULT '',
        error_type TEXT,
        retry TEXT,
        last_attempt_time BIGINT NOT NULL,
        origin_batch INTEGER NOT NULL,
        origin_position INTEGER NOT NULL,
        PRIMARY KEY (message_id, recipient_id)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS recipients_failed ON recipients
        (message_id, recipient_id, state, error_type, retry, maybe_sent, attempts, token_generation)
    WHERE state IN ('FAILED', 'UNCONFIRMED')
    """,
)


class _Attempt(msgspec.Struct, frozen=True, kw_only=True):
    recipient_id: str
    attempt_number: int
    status: DeliveryStatus
    token_generation: int
    error_code: int
    error_subcode: int
    error_message: str
    error_type: str | None
    retry: str | None
    update_time: int


class _Folded(msgspec.Struct, frozen=True):
    state: DeliveryStatus
    error_type: str | None


def apply(sql: Sql, recorded: Recorded) -> None:
    """What events change of recipients, and with them of the message's counts. Runs after deliveries."""
    event = recorded.event
    match event:
        case BatchCreated():
            _create(sql, event)
        case DeliveriesDispatched() | DeliveriesReturned():
            _refold(sql, event, min(event.positions), max(event.positions))
        case OutcomesRecorded() | LateOutcomesRecorded():
            positions = [known.position for known in event.outcomes]
            _refold(sql, event, min(positions), max(positions))
        case BatchCancelled():
            _refold(sql, event, 0, 2**31 - 1)
        case MessageAbandoned():
            sql.execute("DELETE FROM recipients WHERE message_id = :message_id", {"message_id": event.message_id})


def _create(sql: Sql, event: BatchCreated) -> None:
    """The first round brings new recipients; a resend brings new attempts of those there are."""
    if event.round:
        _refold(sql, event, 0, len(event.recipients) - 1)
        return
    sql.executemany(
        """
        INSERT INTO recipients (message_id, recipient_id, recipient_name, state, attempts, last_attempt_time,
                                origin_batch, origin_position)
        VALUES (:message_id, :recipient_id, :name, 'PENDING', 1, :time, :batch, :position)
        """,
        (_new_recipient(event, position, recipient) for position, recipient in enumerate(event.recipients)),
    )
    messages.add_counts(sql, event.message_id, {DeliveryStatus.PENDING: len(event.recipients)}, micros(event.time))


def _new_recipient(event: BatchCreated, position: int, recipient: BatchRecipient) -> dict[str, Any]:
    return {
        "message_id": event.message_id,
        "recipient_id": recipient.id,
        "name": recipient.name,
        "time": micros(event.time),
        "batch": event.batch_number,
        "position": position,
    }


# CROSS JOIN keeps SQLite's planner from walking through all attempts of the message instead of those of 100 people.
_ATTEMPTS = """
    SELECT attempt.recipient_id, attempt.attempt_number, attempt.status, attempt.token_generation, attempt.error_code,
           attempt.error_subcode, attempt.error_message, attempt.error_type, attempt.retry, attempt.update_time
    FROM deliveries touched CROSS JOIN deliveries attempt
    WHERE touched.message_id = :message_id AND touched.batch_number = :batch_number
      AND touched.position BETWEEN :low AND :high
      AND attempt.message_id = touched.message_id AND attempt.recipient_id = touched.recipient_id
"""
_FOLDED = """
    SELECT recipient.recipient_id, recipient.state, recipient.error_type
    FROM deliveries touched CROSS JOIN recipients recipient
    WHERE touched.message_id = :message_id AND touched.batch_number = :batch_number
      AND touched.position BETWEEN :low AND :high
      AND recipient.message_id = touched.message_id AND recipient.recipient_id = touched.recipient_id
"""
_UPDATE = """
    UPDATE recipients SET
        state = :state,
        maybe_sent = :maybe_sent,
        attempts = :attempts,
        token_generation = :token_generation,
        error_code = :error_code,
        error_subcode = :error_subcode,
        error_message = :error_message,
        error_type = :error_type,
        retry = :retry,
        last_attempt_time = :last_attempt_time
    WHERE message_id = :message_id AND recipient_id = :recipient_id
"""


def _refold(sql: Sql, event: BatchEvent, low: int, high: int) -> None:
    """Folds anew the recipients at some positions of a batch, and adds what changed to the message's counts."""
    touched = {"message_id": event.message_id, "batch_number": event.batch_number, "low": low, "high": high}
    before = {row["recipient_id"]: _folded(row) for row in sql.rows(_FOLDED, touched)}
    attempts: dict[str, list[_Attempt]] = {}
    for row in sql.rows(_ATTEMPTS, touched):
        attempts.setdefault(row["recipient_id"], []).append(msgspec.convert(row, _Attempt))
    rows = [_row(event.message_id, of_one) for of_one in attempts.values()]
    sql.executemany(_UPDATE, rows)
    _count_changes(sql, event, before, {row["recipient_id"]: _folded(row) for row in rows})


def _row(message_id: str, attempts: Sequence[_Attempt]) -> dict[str, Any]:
    deciding = deciding_attempt(attempts)
    return {
        "message_id": message_id,
        "recipient_id": deciding.recipient_id,
        "state": deciding.status.value,
        "maybe_sent": int(any(attempt.status is DeliveryStatus.UNCONFIRMED for attempt in attempts)),
        "attempts": max(attempt.attempt_number for attempt in attempts),
        "token_generation": deciding.token_generation,
        "error_code": deciding.error_code,
        "error_subcode": deciding.error_subcode,
        "error_message": deciding.error_message,
        "error_type": deciding.error_type,
        "retry": deciding.retry,
        "last_attempt_time": deciding.update_time,
    }


def _folded(row: Row | Mapping[str, Any]) -> _Folded:
    return _Folded(DeliveryStatus(row["state"]), row["error_type"])


def _count_changes(sql: Sql, event: BatchEvent, before: Mapping[str, _Folded], after: Mapping[str, _Folded]) -> None:
    states: Counter[DeliveryStatus] = Counter(folded.state for folded in after.values())
    states.subtract(folded.state for folded in before.values())
    messages.add_counts(sql, event.message_id, states, micros(event.time))
    types: Counter[str | None] = Counter(folded.error_type for folded in after.values())
    types.subtract(folded.error_type for folded in before.values())
    failures.add_counts(sql, event.message_id, types)
