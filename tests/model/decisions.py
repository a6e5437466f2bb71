"""Decisions about a batch: the model's version of `domain.batch_decisions`, with rules that can be switched off.

`test_model_decisions.py` shows that with all rules on they equal the domain's decisions.
"""

from collections.abc import Callable

from domain.delivery import DeliveryStatus as Status
from tests.model.rules import Rules
from tests.model.state import NONE, Batch, Delivery, Request

Change = Callable[[Delivery], Delivery]


def start(batch: Batch, worker: int, rules: Rules) -> Batch:
    """Apply BatchStarted, and OutcomesRecorded for deliveries that another claim left without an outcome."""
    # A claim's number is the version of its event. Here a number without any reference may be used again, which reduces
    # the number of states.
    number = 1 + max(delivery.claim for delivery in batch.deliveries)
    started = batch._replace(claim=number, worker=worker, has_run=True)
    return completed_if_over(_each(started, lambda delivery: _taken_over(batch, delivery, rules)))


def _taken_over(batch: Batch, delivery: Delivery, rules: Rules) -> Delivery:
    if delivery.status is not Status.SENDING:
        return delivery
    if not rules.take_over_marks_unconfirmed:
        return delivery.without_request()._replace(status=_unsent(batch))
    has_receipt = rules.take_over_reads_receipts and delivery.has_receipt
    return delivery._replace(status=Status.SENT if has_receipt else Status.UNCONFIRMED)


def dispatch(batch: Batch, positions: tuple[int, ...], request: Request) -> Batch:
    """Apply DeliveriesDispatched."""

    def dispatched(delivery: Delivery) -> Delivery:
        if delivery.request is not Request.NONE:  # the request left before its dispatch was stored
            return delivery._replace(status=Status.SENDING)
        return delivery._replace(status=Status.SENDING, request=request, sender=batch.worker, claim=batch.claim)

    return at(batch, positions, dispatched)


def record(batch: Batch, position: int, outcome: Status, rules: Rules) -> Batch:
    """Apply OutcomesRecorded; the last outcome completes the batch."""
    if batch.deliveries[position].status is not Status.SENDING:
        return batch
    recorded = at(batch, (position,), lambda delivery: delivery._replace(status=outcome))
    return completed_if_over(recorded) if rules.completion_is_in_the_last_append else recorded


def record_late(batch: Batch, position: int, outcome: Status, rules: Rules) -> Batch:
    """Apply LateOutcomesRecorded: an outcome that a worker knows after it has lost its claim."""
    is_unconfirmed = batch.deliveries[position].status is Status.UNCONFIRMED
    if not is_unconfirmed and rules.late_outcomes_change_unconfirmed_only:
        return batch
    return at(batch, (position,), lambda delivery: delivery._replace(status=outcome))


def return_unsent(batch: Batch, positions: tuple[int, ...]) -> Batch:
    """Apply DeliveriesReturned: to pending, or to cancelled if the batch is cancelled."""
    to = _unsent(batch)
    sending = tuple(p for p in positions if batch.deliveries[p].status is Status.SENDING)
    return completed_if_over(at(batch, sending, lambda delivery: delivery._replace(status=to)))


def _unsent(batch: Batch) -> Status:
    return Status.CANCELLED if batch.cancelled else Status.PENDING


def drop(batch: Batch, positions: tuple[int, ...]) -> Batch:
    """Apply DeliveriesReturned to cancelled: these recipients are already known to have received the message."""
    return completed_if_over(at(batch, positions, lambda delivery: delivery._replace(status=Status.CANCELLED)))


def cancel(batch: Batch, rules: Rules) -> Batch:
    """Apply BatchCancelled."""
    if batch.completed or batch.cancelled:
        return batch
    ends = (Status.PENDING,) if rules.cancel_affects_pending_only else (Status.PENDING, Status.SENDING)
    cancelled = _each(
        batch._replace(cancelled=True), lambda d: d._replace(status=Status.CANCELLED) if d.status in ends else d
    )
    return completed_if_over(cancelled) if rules.batch_ends_when_none_is_sending else completed(cancelled)


def release(batch: Batch) -> Batch:
    """Apply BatchReleased, and OutcomesRecorded for deliveries that are sending."""
    given_up = _each(batch, lambda d: d._replace(status=Status.UNCONFIRMED) if d.status is Status.SENDING else d)
    return completed_if_over(given_up._replace(claim=0, worker=NONE, has_run=False))


def completed(batch: Batch) -> Batch:
    """Apply BatchCompleted."""
    return batch._replace(completed=True, claim=0, worker=NONE, has_run=False)


def completed_if_over(batch: Batch) -> Batch:
    """Apply BatchCompleted in the same append if no delivery is open."""
    return batch if batch.is_open or batch.completed else completed(batch)


def at(batch: Batch, positions: tuple[int, ...], change: Change) -> Batch:
    """Return the batch with a change to the deliveries at these positions."""
    return batch._replace(deliveries=tuple(change(d) if p in positions else d for p, d in enumerate(batch.deliveries)))


def _each(batch: Batch, change: Change) -> Batch:
    return batch._replace(deliveries=tuple(change(delivery) for delivery in batch.deliveries))
