"""The events of a batch. Outcomes are recorded in chunks: one event per delivery was measured 3-4 times slower."""

from datetime import datetime

import msgspec

from domain.delivery import DeliveryStatus
from domain.event import Event
from domain.outcome import Outcome


class BatchRecipient(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The recipient at one position of a batch.

    - `name`: empty; an earlier release stored clear names here, now they are in the batch's `sealed_names`.
    - `attempt_number`: counts this recipient's attempts from 1.
    - `origin_batch`, `origin_position`: where a resend finds the recipient's variables; both 0 in the first round.
    - `content_round`: the round whose Resend supplied the content of this attempt; 0 is the original content.
    """

    id: str
    name: str
    attempt_number: int
    origin_batch: int = 0
    origin_position: int = 0
    content_round: int = 0


class RecordedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the delivery at a position, and the time at which it was known."""

    position: int
    outcome: Outcome
    time: datetime


class BatchEvent(Event, frozen=True, kw_only=True):
    """An event of one batch's stream."""

    message_id: str
    batch_number: int


class BatchCreated(BatchEvent, frozen=True, kw_only=True):
    """The deliveries of the batch are planned.

    - `sealed_names`, `sealed_variables`: the name and the used variables at each position, each sealed with its
      person's key. They are empty if there are none, and in resends, which read them from the origin batch.
    - `sealed_by_person`: false in events of earlier releases, which sealed all variables together with the message's
      key.
    - `messages_per_second`: the limit of all batches of the round together; 0 for none.
    """

    page_id: str
    stage: int
    round: int
    recipients: tuple[BatchRecipient, ...]
    sealed_variables: bytes = b""
    sealed_names: bytes = b""
    sealed_by_person: bool = False
    messages_per_second: float = 0.0


class BatchStarted(BatchEvent, frozen=True, kw_only=True):
    """A worker claimed the batch.

    The event's version is the number of the claim. `generation` is the generation of the worker's page lease.
    """

    worker: str
    generation: int
    lease_expire_time: datetime


class DeliveriesDispatched(BatchEvent, frozen=True, kw_only=True):
    """The deliveries at these positions are about to be sent; durable before the first request."""

    claim: int
    positions: tuple[int, ...]
    token_generation: int


class OutcomesRecorded(BatchEvent, frozen=True, kw_only=True):
    """Outcomes of deliveries that were SENDING."""

    claim: int
    outcomes: tuple[RecordedOutcome, ...]


class LateOutcomesRecorded(BatchEvent, frozen=True, kw_only=True):
    """Outcomes that became known after the deliveries were recorded as unconfirmed."""

    outcomes: tuple[RecordedOutcome, ...]


class DeliveriesReturned(BatchEvent, frozen=True, kw_only=True):
    """The deliveries at these positions were provably not sent; `to`, PENDING or CANCELLED, is their new status."""

    claim: int
    positions: tuple[int, ...]
    to: DeliveryStatus


class BatchReleased(BatchEvent, frozen=True, kw_only=True):
    """The claim ended; any worker may claim the batch."""

    claim: int


class BatchCancelled(BatchEvent, frozen=True, kw_only=True):
    """Pending deliveries are cancelled."""


class BatchCompleted(BatchEvent, frozen=True, kw_only=True):
    """No delivery of the batch is open."""
