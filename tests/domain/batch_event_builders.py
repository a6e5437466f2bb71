"""Events and decisions of the tests' batch."""

from collections.abc import Sequence

from domain import batch_decisions
from domain.batch import Batch
from domain.batch_decisions import Events
from domain.batch_events import (
    BatchCancelled,
    BatchCompleted,
    BatchReleased,
    BatchStarted,
    DeliveriesDispatched,
    DeliveriesReturned,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import DeliveryStatus
from tests.builders import (
    LEASE,
    MESSAGE,
    NOW,
    WORKER,
)

COMPLETED = BatchCompleted(message_id=MESSAGE, batch_number=1, time=NOW)
CANCELLED = BatchCancelled(message_id=MESSAGE, batch_number=1, time=NOW)


def started(worker: str = WORKER) -> BatchStarted:
    return BatchStarted(
        message_id=MESSAGE,
        batch_number=1,
        worker=worker,
        generation=1,
        lease_expire_time=NOW + LEASE,
        time=NOW,
    )


def dispatched(claim: int, *positions: int) -> DeliveriesDispatched:
    return DeliveriesDispatched(
        message_id=MESSAGE, batch_number=1, claim=claim, positions=positions, token_generation=1, time=NOW
    )


def recorded(claim: int, *outcomes: RecordedOutcome) -> OutcomesRecorded:
    return OutcomesRecorded(message_id=MESSAGE, batch_number=1, claim=claim, outcomes=outcomes, time=NOW)


def returned(claim: int, *positions: int, to: DeliveryStatus = DeliveryStatus.PENDING) -> DeliveriesReturned:
    return DeliveriesReturned(message_id=MESSAGE, batch_number=1, claim=claim, positions=positions, to=to, time=NOW)


def released(claim: int) -> BatchReleased:
    return BatchReleased(message_id=MESSAGE, batch_number=1, claim=claim, time=NOW)


def dispatch(batch: Batch, *positions: int) -> Events:
    return batch_decisions.dispatch(batch, positions, token_generation=1, now=NOW)


def record(batch: Batch, *outcomes: RecordedOutcome) -> Events:
    return batch_decisions.record(batch, outcomes, now=NOW)


def statuses(batch: Batch) -> Sequence[DeliveryStatus]:
    return list(batch.statuses.values())
