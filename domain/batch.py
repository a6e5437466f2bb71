"""The Batch aggregate: at most 100 deliveries of a message, sent by one worker at a time."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from domain.batch_events import (
    BatchCancelled,
    BatchCompleted,
    BatchCreated,
    BatchEvent,
    BatchRecipient,
    BatchReleased,
    BatchStarted,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import DeliveryStatus, status_of
from domain.event import Event

BATCH_SIZE = 100


class Claim(msgspec.Struct, frozen=True):
    """The worker that holds the batch; the number is the version of its BatchStarted event."""

    number: int
    worker: str
    generation: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a batch after all events of its stream.

    `version` is the version of the last event. Positions count from 0.
    """

    message_id: str
    number: int
    stage: int
    round: int
    page_id: str
    recipients: tuple[BatchRecipient, ...]
    sealed_variables: bytes
    sealed_names: bytes
    sealed_by_person: bool
    version: int
    statuses: Mapping[int, DeliveryStatus]
    claim: Claim | None = None
    cancelled: bool = False
    completed: bool = False
    messages_per_second: float = 0.0

    def positions(self, status: DeliveryStatus) -> tuple[int, ...]:
        """Return the positions whose delivery has this status, in order."""
        return tuple(position for position, current in self.statuses.items() if current is status)

    @property
    def pending(self) -> tuple[int, ...]:
        """The positions that are not dispatched."""
        return self.positions(DeliveryStatus.PENDING)

    def is_sending(self, position: int) -> bool:
        """Return whether the delivery at a position is dispatched without an outcome."""
        return self.statuses[position] is DeliveryStatus.SENDING

    @property
    def sending(self) -> tuple[int, ...]:
        """The positions that are dispatched without an outcome."""
        return self.positions(DeliveryStatus.SENDING)


def fold(events: Iterable[Event]) -> Batch:
    """Return the batch after all events of its stream, of which the first is BatchCreated."""
    batch: Batch | None = None
    for event in events:
        batch = _created(event) if batch is None else evolve(batch, event)
    if batch is None:
        raise ValueError("a batch's stream has at least its BatchCreated")
    return batch


def _created(event: Event) -> Batch:
    if not isinstance(event, BatchCreated):
        raise TypeError(f"a batch's stream begins with BatchCreated, not {type(event).__name__}")
    return Batch(
        message_id=event.message_id,
        number=event.batch_number,
        stage=event.stage,
        round=event.round,
        page_id=event.page_id,
        recipients=event.recipients,
        sealed_variables=event.sealed_variables,
        sealed_names=event.sealed_names,
        sealed_by_person=event.sealed_by_person,
        messages_per_second=event.messages_per_second,
        version=1,
        statuses=dict.fromkeys(range(len(event.recipients)), DeliveryStatus.PENDING),
    )


def evolve(batch: Batch, event: Event) -> Batch:
    """Return the batch after one more event."""
    changed = msgspec.structs.replace(batch, version=batch.version + 1)
    match event:
        case BatchStarted():
            claim = Claim(changed.version, event.worker, event.generation)
            return msgspec.structs.replace(changed, claim=claim)
        case DeliveriesDispatched():
            return _with(changed, dict.fromkeys(event.positions, DeliveryStatus.SENDING))
        case OutcomesRecorded() | LateOutcomesRecorded():
            return _with(changed, {known.position: status_of(known.outcome) for known in event.outcomes})
        case DeliveriesReturned():
            return _with(changed, dict.fromkeys(event.positions, event.to))
        case BatchReleased():
            return msgspec.structs.replace(changed, claim=None)
        case BatchCancelled():
            cancelled = msgspec.structs.replace(changed, cancelled=True)
            return _with(cancelled, dict.fromkeys(batch.pending, DeliveryStatus.CANCELLED))
        case BatchCompleted():
            return msgspec.structs.replace(changed, completed=True, claim=None)
    raise TypeError(f"not an event of a batch: {type(event).__name__}")


def _with(batch: Batch, statuses: Mapping[int, DeliveryStatus]) -> Batch:
    return msgspec.structs.replace(batch, statuses={**batch.statuses, **statuses})


def apply(batch: Batch, events: Sequence[BatchEvent]) -> Batch:
    """Return the batch after more events."""
    for event in events:
        batch = evolve(batch, event)
    return batch


def outcomes_with_status(
    batch: Batch, outcomes: Sequence[RecordedOutcome], status: DeliveryStatus
) -> tuple[RecordedOutcome, ...]:
    """Return the outcomes of deliveries that have this status."""
    return tuple(known for known in outcomes if batch.statuses.get(known.position) is status)
