"""What may happen to a batch next: the model's `domain.batch_decisions`, with the rules that can be switched off.

`test_model_decisions.py` holds that with all rules on these decide what the domain decides.
"""

from collections.abc import Callable

from domain.delivery import DeliveryStatus as Status
from tests.model.rules import Rules
from tests.model.state import NOBODY, Batch, Delivery, Request

Change = Callable[[Delivery], Delivery]


def start(batch: Batch, worker: int, rules: Rules) -> Batch:
    """BatchStarted, and OutcomesRecorded for what another claim left without an outcome."""
    # A claim's number is its event's version; here one that nobody remembers may come again, which saves states.
    number = 1 + max(delivery.claim for delivery in batch.deliveries)
    started = batch._replace(claim=number, worker=worker, has_run=True)
    return completed_if_over(_each(started, lambda delivery: _given_up(batch, delivery, rules)))


def _given_up(batch: Batch, delivery: Delivery, rules: Rules) -> Delivery:
    if delivery.status is not Status.SENDING:
        return delivery
    if not rules.take_over_marks_unconfirmed:
        return delivery.without_request()._replace(status=_unsent(batch))
    has_evidence = rules.take_over_reads_receipts and delivery.has_receipt
    return delivery._replace(status=Status.SENT if has_evidence else Status.UNCONFIRMED)


def dispatch(batch: Batch, positions: tuple[int, ...], request: Request) -> Batch:
    """DeliveriesDispatched."""

    def dispatched(delivery: Delivery) -> Delivery:
        if delivery.request is not Request.NONE:  # it left before it was written down
            return delivery._replace(status=Status.SENDING)
        return delivery._replace(status=Status.SENDING, request=request, sender=batch.worker, claim=batch.claim)

    return at(batch, positions, dispatched)


def record(batch: Batch, position: int, outcome: Status, rules: Rules) -> Batch:
    """OutcomesRecorded; with the last one the batch is complete."""
    if batch.deliveries[position].status is not Status.SENDING:
        return batch
    recorded = at(batch, (position,), lambda delivery: delivery._replace(status=outcome))
    return completed_if_over(recorded) if rules.completed_stands_with_the_last_outcome else recorded


def record_late(batch: Batch, position: int, outcome: Status, rules: Rules) -> Batch:
    """LateOutcomesRecorded: what a worker knows after its claim was lost."""
    is_unconfirmed = batch.deliveries[position].status is Status.UNCONFIRMED
    if not is_unconfirmed and rules.late_outcomes_change_unconfirmed_only:
        return batch
    return at(batch, (position,), lambda delivery: delivery._replace(status=outcome))


def return_unsent(batch: Batch, positions: tuple[int, ...]) -> Batch:
    """DeliveriesReturned: to pending, or to cancelled where the batch is."""
    to = _unsent(batch)
    sending = tuple(p for p in positions if batch.deliveries[p].status is Status.SENDING)
    return completed_if_over(at(batch, sending, lambda delivery: delivery._replace(status=to)))


def _unsent(batch: Batch) -> Status:
    return Status.CANCELLED if batch.cancelled else Status.PENDING


def drop(batch: Batch, positions: tuple[int, ...]) -> Batch:
    """DeliveriesReturned to cancelled: these people are known to have been sent to by now."""
    return completed_if_over(at(batch, positions, lambda delivery: delivery._replace(status=Status.CANCELLED)))


def cancel(batch: Batch, rules: Rules) -> Batch:
    """BatchCancelled."""
    if batch.completed or batch.cancelled:
        return batch
    ends = (Status.PENDING,) if rules.cancel_takes_pending_only else (Status.PENDING, Status.SENDING)
    cancelled = _each(
        batch._replace(cancelled=True), lambda d: d._replace(status=Status.CANCELLED) if d.status in ends else d
    )
    return completed_if_over(cancelled) if rules.batch_ends_when_none_is_sending else completed(cancelled)


def release(batch: Batch) -> Batch:
    """BatchReleased, and OutcomesRecorded for what was sending without an outcome."""
    given_up = _each(batch, lambda d: d._replace(status=Status.UNCONFIRMED) if d.status is Status.SENDING else d)
    return completed_if_over(given_up._replace(claim=0, worker=NOBODY, has_run=False))


def completed(batch: Batch) -> Batch:
    """BatchCompleted."""
    return batch._replace(completed=True, claim=0, worker=NOBODY, has_run=False)


def completed_if_over(batch: Batch) -> Batch:
    """BatchCompleted, in the same append, when nothing is open."""
    return batch if batch.is_open or batch.completed else completed(batch)


def at(batch: Batch, positions: tuple[int, ...], change: Change) -> Batch:
    """The batch with some deliveries changed."""
    return batch._replace(deliveries=tuple(change(d) if p in positions else d for p, d in enumerate(batch.deliveries)))


def _each(batch: Batch, change: Change) -> Batch:
    return batch._replace(deliveries=tuple(change(delivery) for delivery in batch.deliveries))
