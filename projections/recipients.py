"""Recipients: a row each, folded from all of its attempts, so that the books cannot drift (protocol rule 8)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from domain.batch import BATCH_SIZE
from domain.batch_events import (
    BatchCancelled,
    BatchCreated,
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
from projections import batches, deliveries, failures, messages, outcomes, receipts
from projections.recorded import Recorded
from projections.sql import Given, Parameters, Sql, micros
from projections.tally import Tally

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


class _Standing(NamedTuple):
    state: DeliveryStatus
    error_type: str | None


class _Touched(NamedTuple):
    """The deliveries that an event changes."""

    place: Parameters
    positions: Given

    def counted(self, sql: Sql, query: str) -> Counter[_Standing]:
        """How many there are of each state and error type."""
        rows = sql.rows(query, self.place, self.positions)
        return Counter({_Standing(DeliveryStatus(row["state"]), row["error_type"]): row["how_many"] for row in rows})


def apply(sql: Sql, recorded: Recorded, tally: Tally) -> None:
    """What events change of attempts, of the recipients they belong to, and of everything that is counted."""
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
        case BatchCreated():
            return range(len(event.recipients))
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
    touched = _Touched(place, Given((("position", int),), [(position,) for position in positions]))
    before: Counter[_Standing] = Counter()
    if not isinstance(event, BatchCreated):
        before = touched.counted(sql, _ATTEMPTS)
    has_evidence, has_retries = _has_evidence(sql, event), messages.has_retries(sql, event.message_id)
    are_first = not (has_evidence or has_retries)
    with outcomes.counting(sql, event, place, touched.positions, tally.outcomes, are_first=are_first):
        deliveries.apply(sql, recorded)
    after = touched.counted(sql, _ATTEMPTS) if has_evidence else _attempts_after(event, before)
    batches.add_counts(sql, event, _by_state(before, after))
    if has_retries:
        before = touched.counted(sql, _RECIPIENTS)
        sql.execute(_FOLD, place, touched.positions)
        after = touched.counted(sql, _RECIPIENTS)
    else:
        sql.execute(_CREATE if isinstance(event, BatchCreated) else _FOLD_ONLY_ATTEMPT, place, touched.positions)
    is_dispatch = isinstance(event, DeliveriesDispatched)
    # An AUTO message that was updated after its end may have failures to retry: a receipt never brings any.
    time = None if isinstance(event, ReceiptsRecorded) else micros(event.time)
    tally.add(event.message_id, _by_state(before, after), time, is_started=is_dispatch)
    failures.add_counts(sql, event.message_id, _by_error_type(before, after))


def _has_evidence(sql: Sql, event: BatchEvent) -> bool:
    """Some attempts stand as sent whatever the event says: what became of them is asked, not reckoned."""
    if isinstance(event, BatchCreated):
        return False
    return isinstance(event, ReceiptsRecorded) or receipts.are_there(sql, event.message_id, event.batch_number)


def _attempts_after(event: BatchEvent, before: Counter[_Standing]) -> Counter[_Standing]:
    """What the attempts are that stand before the event."""
    match event:
        case BatchCreated():
            return Counter({_Standing(DeliveryStatus.PENDING, None): len(event.recipients)})
        case DeliveriesDispatched():
            return Counter({_Standing(DeliveryStatus.SENDING, None): len(event.positions)})
        case DeliveriesReturned():
            return Counter({_Standing(event.to, None): len(event.positions)})
        case OutcomesRecorded() | LateOutcomesRecorded():
            return Counter(_standing_of(known.outcome) for known in event.outcomes)
    after = Counter(before)  # cancelled: whatever was pending
    after[_Standing(DeliveryStatus.CANCELLED, None)] += after.pop(_Standing(DeliveryStatus.PENDING, None), 0)
    return after


def _standing_of(outcome: Outcome) -> _Standing:
    return _Standing(status_of(outcome), None if isinstance(outcome, Sent) else outcome.fault.type.value)


def _by_state(before: Counter[_Standing], after: Counter[_Standing]) -> Mapping[DeliveryStatus, int]:
    changes: Counter[DeliveryStatus] = Counter()
    for counted, sign in ((after, 1), (before, -1)):
        for standing, how_many in counted.items():
            changes[standing.state] += sign * how_many
    return changes


def _by_error_type(before: Counter[_Standing], after: Counter[_Standing]) -> Mapping[str, int]:
    changes: Counter[str] = Counter()
    for counted, sign in ((after, 1), (before, -1)):
        for standing, how_many in counted.items():
            if standing.error_type is not None:
                changes[standing.error_type] += sign * how_many
    return changes


# CROSS JOIN keeps SQLite's planner from walking through all of the message instead of what belongs to 100 people.
_TOUCHED = """
    FROM given CROSS JOIN deliveries touched
    WHERE touched.message_id = :message_id AND touched.batch_number = :batch_number
      AND touched.position = given.position
"""
_ATTEMPTS = f"""
    SELECT touched.status AS state, touched.error_type, COUNT(*) AS how_many
    {_TOUCHED} GROUP BY touched.status, touched.error_type
"""
_RECIPIENTS = f"""
    SELECT recipient.state, recipient.error_type, COUNT(*) AS how_many
    {_TOUCHED.replace("deliveries touched", "deliveries touched CROSS JOIN recipients recipient")}
      AND recipient.message_id = touched.message_id AND recipient.recipient_id = touched.recipient_id
    GROUP BY recipient.state, recipient.error_type
"""
_CREATE = f"""
    INSERT INTO recipients (message_id, recipient_id, recipient_name, state, attempts, last_attempt_time,
                            origin_batch, origin_position)
    SELECT touched.message_id, touched.recipient_id, touched.recipient_name, touched.status, touched.attempt_number,
           touched.update_time, touched.batch_number, touched.position
    {_TOUCHED}
"""
_UPDATE = """
    UPDATE recipients SET
        state = folded.status, maybe_sent = folded.maybe_sent, attempts = folded.attempts,
        token_generation = folded.token_generation, error_code = folded.error_code,
        error_subcode = folded.error_subcode, error_message = folded.error_message, error_type = folded.error_type,
        retry = folded.retry, last_attempt_time = folded.update_time
"""
# The limit keeps SQLite's planner from looking at all recipients first: a batch has no more.
_FOLD_ONLY_ATTEMPT = f"""
    {_UPDATE} FROM (
        SELECT touched.recipient_id, touched.status, touched.token_generation, touched.error_code,
               touched.error_subcode, touched.error_message, touched.error_type, touched.retry, touched.update_time,
               touched.attempt_number AS attempts,
               CASE touched.status WHEN 'UNCONFIRMED' THEN 1 ELSE 0 END AS maybe_sent
        {_TOUCHED}
        LIMIT {BATCH_SIZE}
    ) AS folded
    WHERE recipients.message_id = :message_id AND recipients.recipient_id = folded.recipient_id
"""
# The order says which attempt a recipient stands by: see domain.delivery.deciding_attempt. Windows, since PostgreSQL
# goes through all of the message to join the deciding attempts to their recipients.
_FOLD = f"""
    {_UPDATE} FROM (
        SELECT attempt.recipient_id, attempt.status, attempt.token_generation, attempt.error_code,
               attempt.error_subcode, attempt.error_message, attempt.error_type, attempt.retry, attempt.update_time,
               MAX(attempt.attempt_number) OVER of_one AS attempts,
               MAX(CASE attempt.status WHEN 'UNCONFIRMED' THEN 1 ELSE 0 END) OVER of_one AS maybe_sent,
               ROW_NUMBER() OVER (
                   PARTITION BY attempt.recipient_id
                   ORDER BY CASE attempt.status WHEN 'SENT' THEN 1 WHEN 'PENDING' THEN 2 WHEN 'SENDING' THEN 2
                                                WHEN 'CANCELLED' THEN 4 ELSE 3 END,
                            attempt.attempt_number DESC) AS place
        {_TOUCHED.replace("deliveries touched", "deliveries touched CROSS JOIN deliveries attempt")}
          AND attempt.message_id = touched.message_id AND attempt.recipient_id = touched.recipient_id
        WINDOW of_one AS (PARTITION BY attempt.recipient_id)
    ) AS folded
    WHERE recipients.message_id = :message_id AND recipients.recipient_id = folded.recipient_id AND folded.place = 1
"""
