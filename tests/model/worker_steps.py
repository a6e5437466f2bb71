"""Steps of workers: own a page, claim, dispatch, send, record."""

from functools import partial

from domain.delivery import DeliveryStatus as Status
from domain.retry import RetryType
from tests.model import decisions
from tests.model.scene import Scene, Step, Steps
from tests.model.state import BOTH, IN_WORKER, NONE, Batch, Delivery, Lease, Request, Stopping


def page_owned(scene: Scene) -> Steps:
    """A worker takes a page with open batches that has no owner or whose owner's lease has lapsed (protocol rule 7)."""
    world, rules, _ = scene
    is_free = world.owner == NONE or world.workers[world.owner].lease is not Lease.HELD
    if world.is_done or not (is_free or not rules.page_moves_only_without_a_lease):
        return
    for worker in BOTH:
        if worker == world.owner or world.workers[worker].lease is not Lease.HELD or _has_unsent(scene, worker):
            continue
        ended = tuple(b._replace(has_run=False) if b.worker == worker else b for b in world.batches)
        yield Step("PageOwned", world._replace(owner=worker, batches=ended), worker)


def _has_unsent(scene: Scene, worker: int) -> bool:
    return any(d.sender == worker and d.request in IN_WORKER for b in scene.world.batches for d in b.deliveries)


def batch_started(scene: Scene) -> Steps:
    """The page's owner claims an unclaimed batch, or a started one whose claim has ended (protocol rule 2)."""
    world, rules, _ = scene
    for worker in BOTH:
        if not scene.is_running(worker) or (worker != world.owner and rules.claim_checks_the_page):
            continue
        if _is_halting(scene, worker):
            continue
        for index, batch in enumerate(world.batches):
            if batch.completed or (batch.worker == worker and batch.has_run) or _is_passed_over(scene, batch):
                continue
            started = decisions.start(batch, worker, rules)
            if world.message.cancelled:
                started = decisions.cancel(started, rules)
            elif world.message.paused:
                started = decisions.release(started)
            started = started._replace(found_stuck=batch.found_stuck and batch.worker == worker)
            yield Step("BatchStarted", scene.with_batch(index, started), worker, index)


def _is_passed_over(scene: Scene, batch: Batch) -> bool:
    if scene.world.message.paused and batch.worker == NONE:
        return True  # batches of a paused message are not due
    if scene.rules.take_over_takes_every_started_batch or batch.worker == NONE:
        return False
    return all(delivery.status is not Status.PENDING for delivery in batch.deliveries)


def deliveries_dispatched(scene: Scene) -> Steps:
    """Dispatch one delivery, or all pending ones; the guards are checked in the same transaction (protocol rule 3)."""
    world, rules, _ = scene
    if _is_guarded(scene):
        return
    for index, batch in enumerate(world.batches):
        if not batch.has_run or not scene.is_running(batch.worker) or _is_halting(scene, batch.worker):
            continue
        if batch.worker != world.owner and rules.guard_checks_the_page:
            continue
        pending = batch.positions(Status.PENDING)
        for chunk in {pending[:1], pending} - {()}:
            yield _dispatched(scene, index, chunk)


def _is_guarded(scene: Scene) -> bool:
    message, rules = scene.world.message, scene.rules
    if message.stopped and not message.cancelled:
        return rules.guard_checks_for_a_stop and rules.guard_checks_the_message
    return message.is_stopped and rules.guard_checks_the_message


def _is_halting(scene: Scene, worker: int) -> bool:
    """Return whether the worker has decided to stop the message; it dispatches nothing from then on."""
    return scene.world.workers[worker].stopping is not Stopping.NONE


def _dispatched(scene: Scene, index: int, chunk: tuple[int, ...]) -> Step:
    batch = scene.world.batches[index]
    sent = tuple(p for p in chunk if Status.SENT in scene.statuses(batch.deliveries[p].recipient))
    if sent and scene.rules.guard_checks_the_recipient:
        after = scene.with_batch(index, decisions.drop(batch, sent))
        return Step("DeliveriesReturned, recipients known to have received it", after, batch.worker, index, sent)
    is_held = scene.world.workers[batch.worker].lease is Lease.HELD
    dispatched = decisions.dispatch(batch, chunk, Request.LEAVING if is_held else Request.STALE)
    return Step("DeliveriesDispatched", scene.with_batch(index, dispatched), batch.worker, index, chunk)


def request_leaves(scene: Scene) -> Steps:
    """The next request leaves after a check of the lease and its term (protocol rule 6)."""
    for index, batch in enumerate(scene.world.batches):
        for worker in BOTH:
            waiting = tuple(p for p, d in enumerate(batch.deliveries) if d.sender == worker and d.request in IN_WORKER)
            if waiting and scene.is_running(worker) and _may_leave(scene, batch.deliveries[waiting[0]]):
                left = decisions.at(batch, waiting[:1], lambda d: d._replace(request=Request.IN_FLIGHT))
                yield Step("RequestLeaves", scene.with_batch(index, left), worker, index, waiting[:1])


def _may_leave(scene: Scene, delivery: Delivery) -> bool:
    if delivery.request is Request.CLEARED or not scene.rules.lease_is_checked_before_each_request:
        return True
    if delivery.request is Request.STALE and scene.rules.lapse_invalidates_dispatches:
        return False
    return scene.world.workers[delivery.sender].lease is Lease.HELD


def request_leaves_too_early(scene: Scene) -> Steps:
    """Without dispatch_is_durable_first: the next delivery to dispatch leaves before its dispatch is stored."""
    if scene.rules.dispatch_is_durable_first:
        return
    for step in deliveries_dispatched(scene):
        batch = scene.world.batches[step.batch]
        first = step.positions[:1]
        if batch.deliveries[first[0]].request is Request.NONE:
            left = decisions.at(batch, first, partial(_left_early, sender=step.worker, claim=batch.claim))
            yield Step("RequestLeaves", scene.with_batch(step.batch, left), step.worker, step.batch, first)


def _left_early(delivery: Delivery, sender: int, claim: int) -> Delivery:
    return delivery._replace(request=Request.IN_FLIGHT, sender=sender, claim=claim)


def deliveries_returned(scene: Scene) -> Steps:
    """Return deliveries that did not leave: after a halt, after a lapse, or when they wait too long."""
    for index, batch in enumerate(scene.world.batches):
        unsent = {(d.sender, d.claim) for d in batch.deliveries if d.request in (Request.LEAVING, Request.STALE)}
        for worker, claim in sorted(unsent):
            if scene.is_running(worker):
                yield _returned(scene, index, worker, claim)


def _returned(scene: Scene, index: int, worker: int, claim: int) -> Step:
    world, rules, _ = scene
    batch = world.batches[index]
    back = (
        Request.LEAVING,
        Request.STALE,
        *(() if rules.only_unsent_deliveries_are_returned else (Request.IN_FLIGHT,)),
    )
    of_run = [(p, d) for p, d in enumerate(batch.deliveries) if (d.sender, d.claim) == (worker, claim)]
    unsent = tuple(position for position, delivery in of_run if delivery.request in back)
    is_held = world.workers[worker].lease is Lease.HELD
    is_own = is_claim_own(scene, batch, batch.deliveries[unsent[0]])
    is_stale = any(delivery.request is Request.STALE for _, delivery in of_run)
    returned = decisions.return_unsent(batch, unsent) if is_own else batch
    returned = decisions.at(returned, unsent, Delivery.without_request)
    if is_own and not is_held:
        returned = returned._replace(has_run=False)
    is_eventual = world.message.is_stopped or _is_halting(scene, worker) or not is_held or not is_own or is_stale
    name = "DeliveriesReturned" if is_own else "nothing returned: the claim was lost"
    return Step(name, scene.with_batch(index, returned), worker, index, unsent, is_eventual=is_eventual)


def is_claim_own(scene: Scene, batch: Batch, delivery: Delivery) -> bool:
    """Return whether the worker's claim is still the batch's when it reloads the batch (protocol rule 1)."""
    if not scene.rules.claim_is_checked:
        return True
    if not scene.rules.claim_is_a_number:
        return batch.worker == delivery.sender
    return batch.claim == delivery.claim


def outcomes_recorded(scene: Scene) -> Steps:
    """An answer arrives and is recorded: under the claim, or late."""
    for index, batch in enumerate(scene.world.batches):
        for position, delivery in enumerate(batch.deliveries):
            if delivery.request is Request.IN_FLIGHT and scene.is_running(delivery.sender):
                yield recorded(scene, index, position, Status.SENT)
                if not delivery.has_receipt:
                    yield recorded(scene, index, position, Status.FAILED)


def recorded(scene: Scene, index: int, position: int, outcome: Status) -> Step:
    """Return the step that records one outcome."""
    batch = scene.world.batches[index]
    delivery = batch.deliveries[position]
    is_late = not is_claim_own(scene, batch, delivery)
    answered = decisions.at(batch, (position,), partial(_answered, outcome=outcome))
    if not is_late:
        answered = decisions.record(answered, position, outcome, scene.rules)
    elif scene.rules.late_outcomes_are_recorded:
        answered = decisions.record_late(answered, position, outcome, scene.rules)
        if scene.scenario.retry_type is RetryType.AUTO and outcome is Status.FAILED:
            answered = decisions.at(answered, (position,), lambda d: d._replace(failed_late=True))
    name = "LateOutcomesRecorded" if is_late else "OutcomesRecorded"
    after = scene.with_batch(index, answered, notifies=is_late)
    return Step(f"{name}, {outcome}", after, delivery.sender, index, (position,))


def _answered(delivery: Delivery, outcome: Status) -> Delivery:
    arrived = delivery.arrived + (outcome is not Status.FAILED)
    return delivery.without_request()._replace(arrived=arrived)


def batch_released(scene: Scene) -> Steps:
    """A run that a pause or a stop halted releases its batch when no request is in flight."""
    for index, batch in enumerate(scene.world.batches):
        if not batch.has_run or not scene.is_running(batch.worker):
            continue
        if not scene.world.message.paused and not _is_halting(scene, batch.worker):
            continue
        if not any(d.sender == batch.worker and d.claim == batch.claim for d in batch.deliveries):
            yield Step("BatchReleased, paused", scene.with_batch(index, decisions.release(batch)), batch.worker, index)


def batch_completed(scene: Scene) -> Steps:
    """Without completion_is_in_the_last_append: the worker's next append completes the batch."""
    for index, batch in enumerate(scene.world.batches):
        if batch.has_run and not batch.is_open and scene.is_running(batch.worker):
            yield Step("BatchCompleted", scene.with_batch(index, decisions.completed(batch)), batch.worker, index)


def lease_renewed(scene: Scene) -> Steps:
    """A worker renews its lease some time after it was stopped."""
    for worker in BOTH:
        state = scene.world.workers[worker]
        if state.lease is Lease.LAPSED:
            yield Step("LeaseRenewed", scene.with_worker(worker, state._replace(lease=Lease.HELD)), worker)


WORKER_STEPS = (
    page_owned,
    batch_started,
    deliveries_dispatched,
    request_leaves,
    request_leaves_too_early,
    deliveries_returned,
    outcomes_recorded,
    batch_released,
    batch_completed,
    lease_renewed,
)
