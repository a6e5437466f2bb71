"""State of the model: one message, its batches, one page, two workers, and what the platform did."""

from enum import StrEnum
from functools import cache
from typing import NamedTuple

from domain.delivery import DeliveryStatus, deciding_attempt
from domain.retry import RetryTrigger, RetryType

NONE = -1
OPEN = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)
BOTH = (0, 1)  # indexes of the workers and of the recipients


class Request(StrEnum):
    """Progress of a delivery's only request, as the worker and the platform know it."""

    NONE = "-"  # not made, or no worker waits for its answer
    LEAVING = "LEAVING"  # dispatched, before the request leaves
    STALE = "STALE"  # like LEAVING, but the lease has lapsed since the dispatch
    CLEARED = "CLEARED"  # the worker was stopped between its last check of the lease and the write to the socket
    IN_FLIGHT = "IN_FLIGHT"  # the worker waits for the answer


IN_WORKER = (Request.LEAVING, Request.STALE, Request.CLEARED)


class Delivery(NamedTuple):
    """One attempt to a recipient; `sender` and `claim` belong to its request.

    `arrived` counts how often the message reached the recipient; no worker sees it. The answer sets it. A request
    without an answer counts as arrived, which is the worse case; it may have no receipt.
    """

    recipient: int
    status: DeliveryStatus = DeliveryStatus.PENDING
    request: Request = Request.NONE
    sender: int = NONE
    claim: int = 0
    arrived: int = 0
    has_receipt: bool = False
    failed_late: bool = False  # failed after it was unconfirmed; set only in scenarios with automatic rounds

    def without_request(self) -> "Delivery":
        """Return the delivery without a worker that waits for its answer."""
        arrived = self.arrived + (self.request is Request.IN_FLIGHT)
        return self._replace(request=Request.NONE, sender=NONE, claim=0, arrived=arrived)

    @property
    def is_known_sent(self) -> bool:
        """Whether the whole log shows that the message arrived."""
        return self.has_receipt or self.status is DeliveryStatus.SENT


class Batch(NamedTuple):
    """A batch; `with_unconfirmed` means that its round includes unconfirmed deliveries.

    `claim` is the claim's number, 0 for none; `has_run` means that the claiming worker still works on it.
    """

    deliveries: tuple[Delivery, ...]
    with_unconfirmed: bool = False
    claim: int = 0
    worker: int = NONE
    has_run: bool = False
    cancelled: bool = False
    completed: bool = False
    found_stuck: bool = False  # by ProcessBatches, not released yet; only without release_checks_the_lease

    @property
    def is_open(self) -> bool:
        """Whether a delivery is pending or sending."""
        return any(delivery.status in OPEN for delivery in self.deliveries)

    def positions(self, status: DeliveryStatus) -> tuple[int, ...]:
        """Return the positions with this status, in order."""
        return tuple(position for position, delivery in enumerate(self.deliveries) if delivery.status is status)


class Message(NamedTuple):
    """The message; each plan stores whether the message's version has changed since it was loaded.

    `left_out` are recipients that a person left out of a named resend. `canary` is the canary's batch, followed by the
    recipients that wait for its outcome.
    """

    cancelled: bool = False
    paused: bool = False
    completed: bool = False
    retry_count: int = 0
    left_out: tuple[int, ...] = ()
    suspended: bool = False
    canary: tuple[int, ...] = ()
    stopped: bool = False  # paused by the service; `paused` is set too

    @property
    def is_stopped(self) -> bool:
        """Whether deliveries of the message may not leave."""
        return self.cancelled or self.paused or self.stopped


class Lease(StrEnum):
    """State of a worker's lease, and whether the worker can check it."""

    HELD = "HELD"
    STOPPED = "STOPPED"  # SIGSTOP beyond the lease, a sleeping machine, or no connection to the database
    LAPSED = "LAPSED"  # running again, and not renewed yet


class Plan(NamedTuple):
    """A round in preparation: its recipients, and whether the message still has the loaded version.

    A process that crashes or stops during the preparation needs no step of its own: it equals one that did not start.
    """

    trigger: RetryTrigger
    with_unconfirmed: bool = False
    taken: tuple[int, ...] = ()
    is_current: bool = True
    retry_count: int = 0  # as the trigger read it
    is_named: bool = False
    waiting: tuple[int, ...] = ()  # recipients that wait for the canary's outcome


class Stopping(StrEnum):
    """A worker's decision to stop the message that is not in the log yet."""

    NONE = "-"
    CURRENT = "CURRENT"  # the message still has the version that the worker loaded
    MOVED = "MOVED"  # the message has a newer version
    OVERRULED = "OVERRULED"  # a resume or a manual resend came after the failures that the worker counted


class Worker(NamedTuple):
    """A process; after a crash a new one starts without this state."""

    lease: Lease = Lease.HELD
    was_notified: bool = False  # that the message may be done; set only without the reconciler
    stopping: Stopping = Stopping.NONE

    @property
    def is_running(self) -> bool:
        """Whether it takes steps, with or without a valid lease."""
        return self.lease is not Lease.STOPPED


class World(NamedTuple):
    """The complete state.

    `left`: remaining disturbances. `open_requests`: rounds that callers have requested and not got yet. `counts`: the
    message's counts in the order of DeliveryStatus. `is_waiting_for_token`: failures are retryable only after a new
    token. `is_unnoticed`: the message was done before the new token, and no event has followed.
    """

    batches: tuple[Batch, ...]
    message: Message = Message()
    owner: int = NONE
    workers: tuple[Worker, ...] = (Worker(), Worker())
    plans: tuple[Plan, ...] = ()  # sorted, because their owners do not matter
    left: int = 0
    open_requests: int = 0
    counts: tuple[int, ...] = ()
    is_waiting_for_token: bool = False
    is_unnoticed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a delivery is pending or sending."""
        return is_open_at(self.batches)

    @property
    def is_done(self) -> bool:
        """Whether all batches are completed."""
        return all(batch.completed for batch in self.batches)

    def attempts(self, recipient: int) -> tuple[Delivery, ...]:
        """Return a recipient's attempts in order."""
        return attempts_at(self.batches)[recipient]


class Scenario(NamedTuple):
    """Start of an exploration, and the disturbances that may happen."""

    name: str
    batches: tuple[tuple[int, ...], ...]  # recipient indexes
    disturbances: int
    retry_type: RetryType = RetryType.MANUAL
    max_retry_attempts: int = 2
    manual_resend: str = ""  # "named" or "canary": the kind of the manual resend, which needs a new token first
    stops: bool = False  # whether the service may stop the message


@cache
def is_open_at(batches: tuple[Batch, ...]) -> bool:
    """Return whether a delivery is pending or sending."""
    return any(batch.is_open for batch in batches)


@cache
def attempts_at(batches: tuple[Batch, ...]) -> tuple[tuple[Delivery, ...], ...]:
    """Return each recipient's attempts in order."""
    deliveries = [delivery for batch in batches for delivery in batch.deliveries]
    return tuple(tuple(d for d in deliveries if d.recipient == recipient) for recipient in BOTH)


class _Attempt(NamedTuple):
    attempt_number: int
    status: DeliveryStatus


@cache
def state_of(statuses: tuple[DeliveryStatus, ...]) -> DeliveryStatus:
    """Return a recipient's status, folded from its attempts."""
    return deciding_attempt([_Attempt(number, status) for number, status in enumerate(statuses)]).status
