"""The decisions about a batch: each returns the events to append, none if there is nothing to do."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from domain.batch import Batch, apply, outcomes_with_status
from domain.batch_events import (
    BatchCancelled,
    BatchCompleted,
    BatchEvent,
    BatchReleased,
    BatchStarted,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.outcome import Unconfirmed

Events = tuple[BatchEvent, ...]
Receipts = Mapping[int, RecordedOutcome]  # outcomes of deliveries that a receipt proves as sent, by position

NO_RECEIPTS: Receipts = MappingProxyType({})

WORKER_LOST = Fault(
    message="the worker was lost before an answer came",
    type=ErrorType.NETWORK,
    scope=FaultScope.TRANSPORT,
    retry=RetryRule.AUTOMATIC,
)


def start(
    batch: Batch,
    *,
    worker: str,
    generation: int,
    lease_expire_time: datetime,
    now: datetime,
    receipts: Receipts = NO_RECEIPTS,
) -> Events:
    """Claim the batch.

    A delivery that an earlier claim left SENDING becomes SENT if it has a receipt, else UNCONFIRMED.
    """
    if batch.completed:
        return ()
    started = BatchStarted(
        message_id=batch.message_id,
        batch_number=batch.number,
        worker=worker,
        generation=generation,
        lease_expire_time=lease_expire_time,
        time=now,
    )
    ended = _end_sending(batch, receipts, claim=batch.version + 1, now=now)
    return _completed_if_none_open(batch, (started, *ended), now)


def dispatch(batch: Batch, positions: Sequence[int], *, token_generation: int, now: datetime) -> Events:
    """Record that the pending ones of these positions are about to be sent."""
    pending = set(batch.pending)
    dispatched = tuple(position for position in positions if position in pending)
    if batch.claim is None or not dispatched:
        return ()
    return (
        DeliveriesDispatched(
            message_id=batch.message_id,
            batch_number=batch.number,
            claim=batch.claim.number,
            positions=dispatched,
            token_generation=token_generation,
            time=now,
        ),
    )


def record(batch: Batch, outcomes: Sequence[RecordedOutcome], *, now: datetime) -> Events:
    """Record outcomes under the batch's claim; the last outcome completes the batch."""
    known = outcomes_with_status(batch, outcomes, DeliveryStatus.SENDING)
    if batch.claim is None or not known:
        return ()
    recorded = OutcomesRecorded(
        message_id=batch.message_id, batch_number=batch.number, claim=batch.claim.number, outcomes=known, time=now
    )
    return _completed_if_none_open(batch, (recorded,), now)


def record_late(batch: Batch, outcomes: Sequence[RecordedOutcome], *, now: datetime) -> Events:
    """Record outcomes that a worker learns after it lost its claim: only unconfirmed deliveries change."""
    known = outcomes_with_status(batch, outcomes, DeliveryStatus.UNCONFIRMED)
    if not known:
        return ()
    return (LateOutcomesRecorded(message_id=batch.message_id, batch_number=batch.number, outcomes=known, time=now),)


def return_unsent(batch: Batch, positions: Sequence[int], *, now: datetime) -> Events:
    """Return deliveries that were provably not sent to PENDING, or to CANCELLED if the batch is cancelled."""
    sending = set(batch.sending)
    unsent = tuple(position for position in positions if position in sending)
    to = DeliveryStatus.CANCELLED if batch.cancelled else DeliveryStatus.PENDING
    return _returned(batch, unsent, to, now)


def cancel_positions(batch: Batch, positions: Sequence[int], *, now: datetime) -> Events:
    """Cancel pending deliveries, for recipients that another attempt is known to have reached."""
    pending = set(batch.pending)
    return _returned(
        batch, tuple(position for position in positions if position in pending), DeliveryStatus.CANCELLED, now
    )


def cancel(batch: Batch, *, now: datetime) -> Events:
    """Cancel pending deliveries; deliveries that are being sent get their own outcome."""
    if batch.completed or batch.cancelled:
        return ()
    cancelled = BatchCancelled(message_id=batch.message_id, batch_number=batch.number, time=now)
    return _completed_if_none_open(batch, (cancelled,), now)


def release(batch: Batch, *, now: datetime, receipts: Receipts = NO_RECEIPTS) -> Events:
    """Release the claim, so that any worker may claim the batch.

    A delivery that is SENDING becomes SENT if it has a receipt, else UNCONFIRMED.
    """
    if batch.completed or batch.claim is None:
        return ()
    ended = _end_sending(batch, receipts, claim=batch.claim.number, now=now)
    completed = _completed_if_none_open(batch, ended, now)
    if len(completed) > len(ended):
        return completed
    released = BatchReleased(message_id=batch.message_id, batch_number=batch.number, claim=batch.claim.number, time=now)
    return (*ended, released)


def _end_sending(batch: Batch, receipts: Receipts, *, claim: int, now: datetime) -> Events:
    if not batch.sending:
        return ()
    lost = Unconfirmed(WORKER_LOST)
    outcomes = tuple(receipts.get(p) or RecordedOutcome(position=p, outcome=lost, time=now) for p in batch.sending)
    recorded = OutcomesRecorded(
        message_id=batch.message_id, batch_number=batch.number, claim=claim, outcomes=outcomes, time=now
    )
    return (recorded,)


def _returned(batch: Batch, positions: tuple[int, ...], to: DeliveryStatus, now: datetime) -> Events:
    if batch.claim is None or not positions:
        return ()
    returned = DeliveriesReturned(
        message_id=batch.message_id,
        batch_number=batch.number,
        claim=batch.claim.number,
        positions=positions,
        to=to,
        time=now,
    )
    return _completed_if_none_open(batch, (returned,), now)


def _completed_if_none_open(batch: Batch, events: Events, now: datetime) -> Events:
    if any(status.is_open for status in apply(batch, events).statuses.values()):
        return events
    return (*events, BatchCompleted(message_id=batch.message_id, batch_number=batch.number, time=now))
