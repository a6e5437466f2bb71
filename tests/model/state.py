"""The model's world: one message, its batches, one page, two workers, and what the platform did, which nobody sees."""

from enum import StrEnum
from functools import cache
from typing import NamedTuple

from domain.delivery import DeliveryStatus, deciding_attempt
from domain.retry import RetryTrigger, RetryType

NOBODY = -1
OPEN = (DeliveryStatus.PENDING, DeliveryStatus.SENDING)
BOTH = (0, 1)  # the workers; the recipients too


class Request(StrEnum):
    """How far the one request of a delivery has come, as its worker and the platform know it."""

    NONE = "-"  # not made, or nobody waits for its answer any more
    LEAVING = "LEAVING"  # dispatched, and about to leave
    STALE = "STALE"  # the same, but the lease has lapsed since the dispatch
    CLEARED = "CLEARED"  # the worker stopped between the last look at its lease and the socket's write
    IN_FLIGHT = "IN_FLIGHT"  # the worker waits for its answer


IN_WORKER = (Request.LEAVING, Request.STALE, Request.CLEARED)


class Delivery(NamedTuple):
    """One attempt at a recipient; `sender` and `claim` are its request's.

    `arrived` is the platform's secret: how often the message came. It is settled with the answer; a request of which
    nobody hears counts as arrived, which is the worse case (and a receipt need not come of it).
    """

    recipient: int
    status: DeliveryStatus = DeliveryStatus.PENDING
    request: Request = Request.NONE
    sender: int = NOBODY
    claim: int = 0
    arrived: int = 0
    has_receipt: bool = False
    failed_late: bool = False  # after it was unconfirmed; kept only where automatic rounds are looked for

    def without_request(self) -> "Delivery":
        """Nobody waits for an answer."""
        arrived = self.arrived + (self.request is Request.IN_FLIGHT)
        return self._replace(request=Request.NONE, sender=NOBODY, claim=0, arrived=arrived)

    @property
    def is_known_sent(self) -> bool:
        """Somebody who reads the whole log knows that it arrived."""
        return self.has_receipt or self.status is DeliveryStatus.SENT


class Batch(NamedTuple):
    """A batch: `asked` that its round was to include unconfirmed deliveries.

    `claim` is the claim's number, 0 for none; `has_run`: the worker that made it still works on it.
    """

    deliveries: tuple[Delivery, ...]
    asked: bool = False
    claim: int = 0
    worker: int = NOBODY
    has_run: bool = False
    cancelled: bool = False
    completed: bool = False
    found_stuck: bool = False  # by ProcessBatches, which has not freed it yet; kept only where it does not look again

    @property
    def is_open(self) -> bool:
        """Something is pending or sending."""
        return any(delivery.status in OPEN for delivery in self.deliveries)

    def positions(self, status: DeliveryStatus) -> tuple[int, ...]:
        """The positions that stand at a status, in order."""
        return tuple(position for position, delivery in enumerate(self.deliveries) if delivery.status is status)


class Message(NamedTuple):
    """Its version stands in each plan, as "has moved since" or not.

    `left_out`: recipients that a person left out of a named resend. `canary`: its batch, and the recipients that wait
    for its outcome.
    """

    cancelled: bool = False
    paused: bool = False
    completed: bool = False
    retry_count: int = 0
    left_out: tuple[int, ...] = ()
    suspended: bool = False
    canary: tuple[int, ...] = ()
    stopped: bool = False  # paused by the service itself: then it is paused too

    @property
    def is_stopped(self) -> bool:
        """Nothing of it may leave."""
        return self.cancelled or self.paused or self.stopped


class Lease(StrEnum):
    """A worker's lease, and whether it can look at it."""

    HELD = "HELD"
    STOPPED = "STOPPED"  # SIGSTOP beyond the lease; a machine asleep; a process cut off from the database
    LAPSED = "LAPSED"  # going on, and not renewed yet


class Plan(NamedTuple):
    """A round that some process prepares: whom it found, and whether the message is still at the version it loaded.

    A process that dies or stops meanwhile is the same as one that did not begin, or takes its time.
    """

    trigger: RetryTrigger
    asked: bool = False
    taken: tuple[int, ...] = ()
    is_current: bool = True
    retry_count: int = 0  # as the trigger saw it
    is_named: bool = False
    waiting: tuple[int, ...] = ()  # for the outcome of its canary


class Stopping(StrEnum):
    """A worker's decision to stop the message: made, and not in the log yet."""

    NONE = "-"
    CURRENT = "CURRENT"  # the message is at the version that the worker loaded
    MOVED = "MOVED"  # it is not
    OVERRULED = "OVERRULED"  # a resume or a resend by hand came after the failures that the worker counted


class Worker(NamedTuple):
    """A process: a crash makes it a new one, with nothing of this."""

    lease: Lease = Lease.HELD
    has_news: bool = False  # of an end; kept only where ends are not swept
    stopping: Stopping = Stopping.NONE

    @property
    def is_running(self) -> bool:
        """It takes steps, whether or not its lease is good."""
        return self.lease is not Lease.STOPPED


class World(NamedTuple):
    """All there is. `left`: disturbances that may still come; `orders`: rounds that callers still have to get.

    `counts`: the message's books, in the order of DeliveryStatus. `is_waiting_for_token`: failures can only be retried
    once the page has another token. `is_unnoticed`: the message was done before that, and nothing has happened since.
    """

    batches: tuple[Batch, ...]
    message: Message = Message()
    owner: int = NOBODY
    workers: tuple[Worker, ...] = (Worker(), Worker())
    plans: tuple[Plan, ...] = ()  # sorted: whose they are makes no difference
    left: int = 0
    orders: int = 0
    counts: tuple[int, ...] = ()
    is_waiting_for_token: bool = False
    is_unnoticed: bool = False

    @property
    def is_open(self) -> bool:
        """Some delivery is pending or sending."""
        return is_open_at(self.batches)

    @property
    def is_done(self) -> bool:
        """There is no batch to work on."""
        return all(batch.completed for batch in self.batches)

    def attempts(self, recipient: int) -> tuple[Delivery, ...]:
        """A recipient's, in order."""
        return attempts_at(self.batches)[recipient]


class Scenario(NamedTuple):
    """What an exploration begins with, and what may happen in it."""

    name: str
    batches: tuple[tuple[int, ...], ...]  # recipients
    disturbances: int
    retry_type: RetryType = RetryType.MANUAL
    max_retry_attempts: int = 2
    by_hand: str = ""  # "named" or "canary": the token has to be replaced first, and the resend is of this kind
    stops: bool = False  # the service may stop the message


@cache
def is_open_at(batches: tuple[Batch, ...]) -> bool:
    """Some delivery is pending or sending."""
    return any(batch.is_open for batch in batches)


@cache
def attempts_at(batches: tuple[Batch, ...]) -> tuple[tuple[Delivery, ...], ...]:
    """Each recipient's attempts, in order."""
    deliveries = [delivery for batch in batches for delivery in batch.deliveries]
    return tuple(tuple(d for d in deliveries if d.recipient == recipient) for recipient in BOTH)


class _Attempt(NamedTuple):
    attempt_number: int
    status: DeliveryStatus


@cache
def state_of(statuses: tuple[DeliveryStatus, ...]) -> DeliveryStatus:
    """What a recipient's attempts amount to."""
    return deciding_attempt([_Attempt(number, status) for number, status in enumerate(statuses)]).status
