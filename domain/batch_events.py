"""What happens to a batch; outcomes come in chunks, since one event per delivery costs 3-4 times as much."""

from datetime import datetime

import msgspec

from domain.delivery import DeliveryStatus
from domain.event import Event
from domain.outcome import Outcome


class BatchRecipient(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Who stands at a position of a batch; the attempt is the recipient's n-th.

    `origin_batch` and `origin_position` tell a resend where the recipient's variables stand; both 0 in the first round.
    The name is empty: only a release before wrote it in the clear, and not with the batch's sealed names.
    `content_round` is the round whose Resend brought the content of this attempt; 0 is the original content.
    """

    id: str
    name: str
    attempt_number: int
    origin_batch: int = 0
    origin_position: int = 0
    content_round: int = 0


class RecordedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the delivery at a position, and when it was known."""

    position: int
    outcome: Outcome
    time: datetime


class BatchEvent(Event, frozen=True, kw_only=True):
    """An event of one batch."""

    message_id: str
    batch_number: int


class BatchCreated(BatchEvent, frozen=True, kw_only=True):
    """Deliveries planned.

    `sealed_names` and `sealed_variables` hold what stands at each position, sealed with a key of that person's own;
    empty where there are none (of variables, those that the text asks for), and in resends, which find them at their
    origin. Where nothing is `sealed_by_person`, as releases before wrote it, the variables are sealed together, with
    the message's key. `messages_per_second` caps the batches of
    its round together; 0 does not.
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
    """A worker claimed the batch: this event's version is the claim's number, `generation` its page ownership's."""

    worker: str
    generation: int
    lease_expire_time: datetime


class DeliveriesDispatched(BatchEvent, frozen=True, kw_only=True):
    """These are about to leave; durable before the first does."""

    claim: int
    positions: tuple[int, ...]
    token_generation: int


class OutcomesRecorded(BatchEvent, frozen=True, kw_only=True):
    """What became of some that were sending."""

    claim: int
    outcomes: tuple[RecordedOutcome, ...]


class LateOutcomesRecorded(BatchEvent, frozen=True, kw_only=True):
    """Evidence that came after the deliveries were called unconfirmed."""

    outcomes: tuple[RecordedOutcome, ...]


class DeliveriesReturned(BatchEvent, frozen=True, kw_only=True):
    """These provably did not leave: `to` is PENDING or CANCELLED."""

    claim: int
    positions: tuple[int, ...]
    to: DeliveryStatus


class BatchReleased(BatchEvent, frozen=True, kw_only=True):
    """Nobody works on it: anybody may claim it."""

    claim: int


class BatchCancelled(BatchEvent, frozen=True, kw_only=True):
    """What was pending never leaves."""


class BatchCompleted(BatchEvent, frozen=True, kw_only=True):
    """No delivery of it is open."""
