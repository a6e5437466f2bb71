"""The recipients table: a row for each recipient, computed from all of its attempts (protocol rule 8)."""

from collections import Counter
from collections.abc import Sequence

from domain.batch import BATCH_SIZE
from domain.batch_events import (
    BatchCancelled,
    BatchEvent,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
)
from domain.delivery import DeliveryStatus, status_of
from domain.event import RecordedEvent
from domain.message_events import MessageAbandoned
from domain.outcome import Outcome, Sent
from domain.receipts import ReceiptKind, ReceiptsRecorded
from projections import batches, deliveries, failures, outcomes
from projections.affected_deliveries import AffectedDeliveries, CountChange, CountKey
from projections.count_deltas import CountDeltas
from projections.prior_state import PriorState
from projections.sql import BulkRows, Sql, micros

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
        is_erased INTEGER NOT NULL DEFAULT 0,
        content_round INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (message_id, recipient_id)
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS recipients_failed ON recipients
        (message_id, recipient_id, state, error_type, retry, maybe_sent, attempts, token_generation)
    WHERE state IN ('FAILED', 'UNCONFIRMED')
    """,
    """
    CREATE INDEX IF NOT EXISTS recipients_standings ON recipients
        (message_id, state, error_type, retry, maybe_sent, attempts, token_generation)
    WHERE state IN ('FAILED', 'UNCONFIRMED')
    """,
    """
    CREATE INDEX IF NOT EXISTS recipients_by_error ON recipients
        (message_id, error_type, last_attempt_time, recipient_id)
    WHERE error_type IS NOT NULL
    """,
)


def existing_recipients(sql: Sql, message_id: str, recipient_ids: Sequence[str]) -> frozenset[str]:
    """Return those of the recipients that the message has, staged or submitted."""
    rows = sql.rows(
        """
        SELECT given.recipient_id FROM given
        WHERE (SELECT 1 FROM recipients
               WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id) IS NOT NULL
        """,  # one look-up each: with a join PostgreSQL reads all recipients of the growing message
        {"message_id": message_id},
        BulkRows((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)


def apply(sql: Sql, recorded: RecordedEvent, deltas: CountDeltas) -> None:
    """Apply an event to existing attempts, their recipients and all counts."""
    event = recorded.event
    if isinstance(event, MessageAbandoned):
        deliveries.apply(sql, recorded)
        sql.execute("DELETE FROM recipients WHERE message_id = :message_id", {"message_id": event.message_id})
    elif isinstance(event, BatchEvent) and (positions := _positions(event)):
        _change(sql, recorded, event, positions, deltas)
    elif isinstance(event, ReceiptsRecorded):
        deliveries.apply(sql, recorded)  # DELIVERED and READ receipts change no counts


def _positions(event: BatchEvent) -> Sequence[int]:
    match event:
        case DeliveriesDispatched() | DeliveriesReturned():
            return event.positions
        case OutcomesRecorded() | LateOutcomesRecorded():
            return [known.position for known in event.outcomes]
        case BatchCancelled():
            return range(BATCH_SIZE)
        case ReceiptsRecorded():
            return [receipt.position for receipt in event.receipts if receipt.kind is ReceiptKind.ECHO]
    return ()


def _change(
    sql: Sql, recorded: RecordedEvent, event: BatchEvent, positions: Sequence[int], deltas: CountDeltas
) -> None:
    batch = {"message_id": event.message_id, "batch_number": event.batch_number}
    affected = AffectedDeliveries(batch, BulkRows((("position", int),), [(position,) for position in positions]))
    prior = deltas.prior_states.before(sql, event)
    reads_counts, has_retries = _reads_counts(event, prior), prior.has_retries or prior.is_cleaned
    before = affected.count_attempts(sql) if reads_counts else _attempts_before(sql, event, affected)
    are_first = not (reads_counts or has_retries)
    with outcomes.count_changes(sql, event, batch, affected.positions, deltas.outcomes, are_first=are_first):
        deliveries.apply(sql, recorded)
    attempts = CountChange(before, affected.count_attempts(sql) if reads_counts else _attempts_after(event, before))
    batches.add_counts(sql, event, attempts.by_state)
    if has_retries:
        change = affected.update_recipients(sql, attempts, is_cleaned=prior.is_cleaned)
    else:
        change = attempts
        affected.update_single_attempt_recipients(sql)
    is_dispatch = isinstance(event, DeliveriesDispatched)
    # The reconciler looks for new failures in AUTO messages updated after their end; a receipt never adds a failure.
    time = None if isinstance(event, ReceiptsRecorded) else micros(event.time)
    deltas.add(event.message_id, change.by_state, time, is_started=is_dispatch)
    failures.add_counts(sql, event.message_id, change.by_error_type)


def _reads_counts(event: BatchEvent, prior: PriorState) -> bool:
    """Return whether the counts must be read from the database.

    They cannot be computed from the event if receipts override it, or if a cleanup removed attempts.
    """
    return prior.is_cleaned or prior.is_echoed or isinstance(event, ReceiptsRecorded)


def _attempts_before(sql: Sql, event: BatchEvent, affected: AffectedDeliveries) -> Counter[CountKey]:
    """Return the counts before the event: only PENDING attempts are dispatched, only SENDING ones get an outcome."""
    match event:
        case DeliveriesDispatched():
            return Counter({CountKey(DeliveryStatus.PENDING, None): len(event.positions)})
        case OutcomesRecorded():
            return Counter({CountKey(DeliveryStatus.SENDING, None): len(event.outcomes)})
    return affected.count_attempts(sql)


def _attempts_after(event: BatchEvent, before: Counter[CountKey]) -> Counter[CountKey]:
    """Return the counts after the event."""
    match event:
        case DeliveriesDispatched():
            return Counter({CountKey(DeliveryStatus.SENDING, None): len(event.positions)})
        case DeliveriesReturned():
            return Counter({CountKey(event.to, None): len(event.positions)})
        case OutcomesRecorded() | LateOutcomesRecorded():
            return Counter(_standing_of(known.outcome) for known in event.outcomes)
    after = Counter(before)  # BatchCancelled: all pending attempts become cancelled
    after[CountKey(DeliveryStatus.CANCELLED, None)] += after.pop(CountKey(DeliveryStatus.PENDING, None), 0)
    return after


def _standing_of(outcome: Outcome) -> CountKey:
    return CountKey(status_of(outcome), None if isinstance(outcome, Sent) else outcome.fault.type.value)
