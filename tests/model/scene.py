"""A world with its rules and scenario, and the changes that steps make."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from domain.delivery import DeliveryStatus as Status
from domain.fault import ErrorType, RetryRule
from domain.retry import OnUnconfirmed, RetrySelection, RetryState, skip_reason
from tests.model.rules import Rules
from tests.model.state import (
    BOTH,
    NONE,
    Batch,
    Delivery,
    Message,
    Plan,
    Scenario,
    Stopping,
    Worker,
    World,
    attempts_at,
    state_of,
)

STATUSES = tuple(Status)


class Step(NamedTuple):
    """One step from a world to the next; `is_eventual` steps happen without a caller or a fault."""

    name: str
    after: World
    worker: int = NONE
    batch: int = NONE
    positions: tuple[int, ...] = ()
    is_eventual: bool = True
    plan: Plan | None = None

    def __str__(self) -> str:
        places = {"worker": self.worker, "batch": self.batch, "positions": self.positions}
        details = ", ".join(f"{name} {place}" for name, place in places.items() if place not in (NONE, ()))
        return f"{self.name} ({details})" if details else self.name


class Scene(NamedTuple):
    """The input of every step."""

    world: World
    rules: Rules
    scenario: Scenario

    def is_running(self, worker: int) -> bool:
        """Return whether the worker is not stopped."""
        return worker != NONE and self.world.workers[worker].is_running

    def read(self, delivery: Delivery) -> Status:
        """Return the status of a delivery as readers see it."""
        return status_read(delivery, self.rules.evidence_wins)

    def statuses(self, recipient: int) -> tuple[Status, ...]:
        """Return the statuses of a recipient's attempts as readers see them."""
        return statuses_at(self.world.batches, self.rules.evidence_wins)[recipient]

    def taken(self, *, with_unconfirmed: bool) -> tuple[int, ...]:
        """Return the recipients of a plain resend; `with_unconfirmed` means include_unconfirmed."""
        return () if self.world.is_waiting_for_token else self.retryable(with_unconfirmed=with_unconfirmed)

    def taken_by_policy(self) -> tuple[int, ...]:
        """Return the recipients that an automatic round takes."""
        message, rules = self.world.message, self.rules
        if message.suspended and rules.stopped_canary_suspends_automatic_rounds:
            return ()
        left_out = message.left_out if rules.named_resend_limits_automatic_rounds else ()
        return tuple(who for who in self.taken(with_unconfirmed=False) if who not in left_out)

    def retryable(self, *, with_unconfirmed: bool) -> tuple[int, ...]:
        """Return the recipients with attempts left, as a resend that names them sees them."""
        most = 1 + self.scenario.max_retry_attempts
        include = with_unconfirmed or not self.rules.unconfirmed_needs_a_request
        every = self.rules.every_attempt_counts_as_maybe_sent
        return tuple(r for r in BOTH if (found := self.statuses(r)) and _is_taken(found, most, include, every))

    def with_batch(self, index: int, batch: Batch, *, notifies: bool = False) -> World:
        """Return the world with one batch changed and the counts updated."""
        world = self.world
        before = world.batches[index]
        batches = (*world.batches[:index], batch, *world.batches[index + 1 :])
        counts = self._counted(batches, before.deliveries, batch.deliveries)
        after = world._replace(batches=batches, counts=counts, is_unnoticed=False)
        if (notifies or (batch.completed and not before.completed)) and self._notifications_matter:
            return _notified(after)
        return after

    def with_notification(self) -> World:
        """Return the world after the page's owner was notified that the message may be done."""
        return _notified(self.world) if self._notifications_matter else self.world

    def with_new_batch(self, batch: Batch) -> World:
        """Return the world with one more batch."""
        batches = (*self.world.batches, batch)
        return self.world._replace(batches=batches, counts=self._counted(batches, (), batch.deliveries))

    def with_worker(self, worker: int, changed: Worker) -> World:
        """Return the world with one worker changed."""
        return self.world._replace(workers=put(self.world.workers, worker, changed))

    def with_plan(self, plan: Plan | None, *, instead_of: Plan | None = None) -> World:
        """Return the world with a plan added, changed or removed."""
        plans = list(self.world.plans)
        if instead_of is not None:
            plans.remove(instead_of)
        if plan is not None:
            plans.append(plan)
        return self.world._replace(plans=tuple(sorted(plans)))

    @property
    def _notifications_matter(self) -> bool:
        return not (self.rules.ends_are_swept and self.rules.late_failures_are_swept)

    def _counted(
        self, batches: tuple[Batch, ...], before: tuple[Delivery, ...], after: tuple[Delivery, ...]
    ) -> tuple[int, ...]:
        """Subtract the old statuses of the affected recipients and add the new ones (protocol rule 8)."""
        if self.rules.counts_fold_recipients:
            affected = tuple(delivery.recipient for delivery in after)
            was, becomes = self._folded(self.world.batches, affected), self._folded(batches, affected)
        else:
            was = tuple(map(self.read, before)) or self._folded(self.world.batches, tuple(d.recipient for d in after))
            becomes = tuple(map(self.read, after))
        if was == becomes:
            return self.world.counts
        return tuple(map(sum, zip(self.world.counts, _changes(was, becomes), strict=True)))

    def _folded(self, batches: tuple[Batch, ...], recipients: tuple[int, ...]) -> tuple[Status, ...]:
        found = statuses_at(batches, self.rules.evidence_wins)
        return tuple(state_of(found[recipient]) for recipient in recipients)


Steps = Iterator[Step]


@cache
def _changes(was: tuple[Status, ...], becomes: tuple[Status, ...]) -> tuple[int, ...]:
    return tuple(becomes.count(status) - was.count(status) for status in STATUSES)


def moved(world: World, message: Message, *, overrules: bool = False) -> World:
    """Append an event to the message's stream; processes that prepare a round or a stop then have an old version.

    `overrules`: the event is a person's decision to continue.
    """
    plans = (plan._replace(is_current=False) if plan.taken else plan for plan in world.plans)
    workers = tuple(_with_moved_stop(worker, overrules=overrules) for worker in world.workers)
    return world._replace(message=message, plans=tuple(sorted(plans)), workers=workers, is_unnoticed=False)


def _with_moved_stop(worker: Worker, *, overrules: bool) -> Worker:
    if worker.stopping is Stopping.NONE:
        return worker
    is_overruled = overrules or worker.stopping is Stopping.OVERRULED
    return worker._replace(stopping=Stopping.OVERRULED if is_overruled else Stopping.MOVED)


def _notified(world: World) -> World:
    """Notify the page's owner that the message may be done."""
    if world.owner == NONE:
        return world
    return world._replace(
        workers=put(world.workers, world.owner, world.workers[world.owner]._replace(was_notified=True))
    )


def put(workers: tuple[Worker, ...], index: int, worker: Worker) -> tuple[Worker, ...]:
    """Return the workers with one of them changed."""
    return (*workers[:index], worker, *workers[index + 1 :])


def status_read(delivery: Delivery, evidence_wins: bool) -> Status:
    """Return the status as readers see it: a receipt overrides the batch's events (protocol rule 4)."""
    return Status.SENT if delivery.has_receipt and evidence_wins else delivery.status


@cache
def statuses_at(batches: tuple[Batch, ...], evidence_wins: bool) -> tuple[tuple[Status, ...], ...]:
    """Return the statuses of each recipient's attempts as readers see them."""
    return tuple(tuple(status_read(delivery, evidence_wins) for delivery in each) for each in attempts_at(batches))


@cache
def _is_taken(statuses: tuple[Status, ...], most: int, with_unconfirmed: bool, every: bool) -> bool:
    state = state_of(statuses)
    candidate = RetryState(
        status=state,
        attempts_exhausted=len(statuses) >= most,
        error_type=ErrorType.NETWORK,
        retry=RetryRule.AUTOMATIC,
        maybe_sent=Status.UNCONFIRMED in (statuses if every else (state,)),
    )
    return skip_reason(candidate, RetrySelection(include_unconfirmed=with_unconfirmed), OnUnconfirmed.HOLD) is None


def initial_world(scenario: Scenario) -> World:
    """Return a world with a message just submitted; worker 0 owns its page."""
    batches = tuple(Batch(tuple(Delivery(recipient) for recipient in recipients)) for recipients in scenario.batches)
    pending = sum(len(recipients) for recipients in scenario.batches)
    counts = tuple(pending if status is Status.PENDING else 0 for status in Status)
    waits = bool(scenario.manual_resend)
    return World(batches=batches, owner=0, left=scenario.disturbances, counts=counts, is_waiting_for_token=waits)
