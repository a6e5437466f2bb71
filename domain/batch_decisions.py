"""What may happen to a batch next: each decision gives the events to append, none when there is nothing to do."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from domain.batch import Batch, apply, evidence
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
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.outcome import Unconfirmed

Events = tuple[BatchEvent, ...]
Receipts = Mapping[int, RecordedOutcome]  # what is known to have been sent, by position

NO_RECEIPTS: Receipts = MappingProxyType({})

WORKER_LOST = Fault(
    message="the worker was lost before an answer came",
    type=ErrorType.NETWORK,
    scope=Scope.TRANSPORT,
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
    """Claims the batch; what another claim left without an outcome is sent by its receipt, or else unconfirmed."""
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
    given_up = _give_up_sending(batch, receipts, claim=batch.version + 1, now=now)
    return _completed_if_over(batch, (started, *given_up), now)


def dispatch(batch: Batch, positions: Sequence[int], *, token_generation: int, now: datetime) -> Events:
    """Writes down that these are about to leave."""
    pending = set(batch.pending)
    leaving = tuple(position for position in positions if position in pending)
    if batch.claim is None or not leaving:
        return ()
    return (
        DeliveriesDispatched(
            message_id=batch.message_id,
            batch_number=batch.number,
            claim=batch.claim.number,
            positions=leaving,
            token_generation=token_generation,
            time=now,
        ),
    )


def record(batch: Batch, outcomes: Sequence[RecordedOutcome], *, now: datetime) -> Events:
    """Records outcomes under the batch's claim; with the last one the batch is complete."""
    known = evidence(batch, outcomes, DeliveryStatus.SENDING)
    if batch.claim is None or not known:
        return ()
    recorded = OutcomesRecorded(
        message_id=batch.message_id, batch_number=batch.number, claim=batch.claim.number, outcomes=known, time=now
    )
    return _completed_if_over(batch, (recorded,), now)


def record_late(batch: Batch, outcomes: Sequence[RecordedOutcome], *, now: datetime) -> Events:
    """Records what a worker knows after its claim was taken from it: only unconfirmed deliveries change."""
    known = evidence(batch, outcomes, DeliveryStatus.UNCONFIRMED)
    if not known:
        return ()
    return (LateOutcomesRecorded(message_id=batch.message_id, batch_number=batch.number, outcomes=known, time=now),)


def return_unsent(batch: Batch, positions: Sequence[int], *, now: datetime) -> Events:
    """Takes back what provably did not leave: pending again, or cancelled where the batch is."""
    sending = set(batch.sending)
    unsent = tuple(position for position in positions if position in sending)
    to = DeliveryStatus.CANCELLED if batch.cancelled else DeliveryStatus.PENDING
    return _returned(batch, unsent, to, now)


def drop(batch: Batch, positions: Sequence[int], *, now: datetime) -> Events:
    """Cancels pending deliveries of people who are known to have been sent to by now."""
    pending = set(batch.pending)
    return _returned(
        batch, tuple(position for position in positions if position in pending), DeliveryStatus.CANCELLED, now
    )


def cancel(batch: Batch, *, now: datetime) -> Events:
    """Cancels what is pending; what is sending comes to its own end."""
    if batch.completed or batch.cancelled:
        return ()
    cancelled = BatchCancelled(message_id=batch.message_id, batch_number=batch.number, time=now)
    return _completed_if_over(batch, (cancelled,), now)


def release(batch: Batch, *, now: datetime, receipts: Receipts = NO_RECEIPTS) -> Events:
    """Lets the batch go, so that anybody may claim it; what was sending is sent by its receipt, or else unconfirmed."""
    if batch.completed or batch.claim is None:
        return ()
    given_up = _give_up_sending(batch, receipts, claim=batch.claim.number, now=now)
    ended = _completed_if_over(batch, given_up, now)
    if len(ended) > len(given_up):
        return ended
    released = BatchReleased(message_id=batch.message_id, batch_number=batch.number, claim=batch.claim.number, time=now)
    return (*given_up, released)


def _give_up_sending(batch: Batch, receipts: Receipts, *, claim: int, now: datetime) -> Events:
    if not batch.sending:
        return ()
    unknown = Unconfirmed(WORKER_LOST)
    lost = tuple(receipts.get(p) or RecordedOutcome(position=p, outcome=unknown, time=now) for p in batch.sending)
    return (
        OutcomesRecorded(message_id=batch.message_id, batch_number=batch.number, claim=claim, outcomes=lost, time=now),
    )


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
    return _completed_if_over(batch, (returned,), now)


def _completed_if_over(batch: Batch, events: Events, now: datetime) -> Events:
    if any(status.is_open for status in apply(batch, events).statuses.values()):
        return events
    return (*events, BatchCompleted(message_id=batch.message_id, batch_number=batch.number, time=now))
