"""Recipients: a row each, folded from all of its attempts, so that the books cannot drift (protocol rule 8)."""

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
from domain.message_events import MessageAbandoned
from domain.outcome import Outcome, Sent
from domain.receipt_events import ReceiptKind, ReceiptsRecorded
from projections import batches, deliveries, failures, outcomes
from projections.pasts import Past
from projections.recorded import Recorded
from projections.sql import Given, Sql, micros
from projections.tally import Tally
from projections.touched import Change, Standing, Touched

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


def known_among(sql: Sql, message_id: str, recipient_ids: Sequence[str]) -> frozenset[str]:
    """Those of the recipients that the message has, staged or submitted."""
    rows = sql.rows(
        """
        SELECT given.recipient_id FROM given
        WHERE (SELECT 1 FROM recipients
               WHERE recipients.message_id = :message_id AND recipients.recipient_id = given.recipient_id) IS NOT NULL
        """,  # one look-up each: a join makes PostgreSQL read all that a growing message has
        {"message_id": message_id},
        Given((("recipient_id", str),), [(recipient_id,) for recipient_id in recipient_ids]),
    )
    return frozenset(row["recipient_id"] for row in rows)


def apply(sql: Sql, recorded: Recorded, tally: Tally) -> None:
    """What events change of attempts that are there, of their recipients, and of everything that is counted."""
    event = recorded.event
    if isinstance(event, MessageAbandoned):
        deliveries.apply(sql, recorded)
        sql.execute("DELETE FROM recipients WHERE message_id = :message_id", {"message_id": event.message_id})
    elif isinstance(event, BatchEvent) and (positions := _positions(event)):
        _change(sql, recorded, event, positions, tally)
    elif isinstance(event, ReceiptsRecorded):
        deliveries.apply(sql, recorded)  # that something was delivered or read changes nothing that is counted


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


def _change(sql: Sql, recorded: Recorded, event: BatchEvent, positions: Sequence[int], tally: Tally) -> None:
    place = {"message_id": event.message_id, "batch_number": event.batch_number}
    touched = Touched(place, Given((("position", int),), [(position,) for position in positions]))
    past = tally.pasts.before(sql, event)
    is_asked, has_retries = _is_asked(event, past), past.has_retries or past.is_cleaned
    before = touched.attempts(sql) if is_asked else _attempts_before(sql, event, touched)
    are_first = not (is_asked or has_retries)
    with outcomes.counting(sql, event, place, touched.positions, tally.outcomes, are_first=are_first):
        deliveries.apply(sql, recorded)
    attempts = Change(before, touched.attempts(sql) if is_asked else _attempts_after(event, before))
    batches.add_counts(sql, event, attempts.by_state)
    if has_retries:
        change = touched.fold(sql, attempts, is_cleaned=past.is_cleaned)
    else:
        change = attempts
        touched.fold_only_attempt(sql)
    is_dispatch = isinstance(event, DeliveriesDispatched)
    # An AUTO message that was updated after its end may have failures to retry: a receipt never brings any.
    time = None if isinstance(event, ReceiptsRecorded) else micros(event.time)
    tally.add(event.message_id, change.by_state, time, is_started=is_dispatch)
    failures.add_counts(sql, event.message_id, change.by_error_type)


def _is_asked(event: BatchEvent, past: Past) -> bool:
    """Some attempts stand as sent whatever the event says, or were removed: what there is is asked, not reckoned."""
    return past.is_cleaned or past.is_echoed or isinstance(event, ReceiptsRecorded)


def _attempts_before(sql: Sql, event: BatchEvent, touched: Touched) -> Counter[Standing]:
    """What the attempts were: only what is pending is dispatched, and only what is sending has its outcome recorded."""
    match event:
        case DeliveriesDispatched():
            return Counter({Standing(DeliveryStatus.PENDING, None): len(event.positions)})
        case OutcomesRecorded():
            return Counter({Standing(DeliveryStatus.SENDING, None): len(event.outcomes)})
    return touched.attempts(sql)


def _attempts_after(event: BatchEvent, before: Counter[Standing]) -> Counter[Standing]:
    """What the attempts are that stand before the event."""
    match event:
        case DeliveriesDispatched():
            return Counter({Standing(DeliveryStatus.SENDING, None): len(event.positions)})
        case DeliveriesReturned():
            return Counter({Standing(event.to, None): len(event.positions)})
        case OutcomesRecorded() | LateOutcomesRecorded():
            return Counter(_standing_of(known.outcome) for known in event.outcomes)
    after = Counter(before)  # cancelled: whatever was pending
    after[Standing(DeliveryStatus.CANCELLED, None)] += after.pop(Standing(DeliveryStatus.PENDING, None), 0)
    return after


def _standing_of(outcome: Outcome) -> Standing:
    return Standing(status_of(outcome), None if isinstance(outcome, Sent) else outcome.fault.type.value)
