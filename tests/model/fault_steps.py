"""Faults and outside events; each uses one of the remaining disturbances."""

from domain.delivery import DeliveryStatus as Status
from tests.model import decisions
from tests.model.scene import Scene, Step, Steps, put
from tests.model.state import BOTH, IN_WORKER, NONE, Batch, Delivery, Lease, Request, Worker, World
from tests.model.worker_steps import recorded


def _disturbed(
    name: str, scene: Scene, after: World, worker: int = NONE, batch: int = NONE, position: int = NONE
) -> Step:
    positions = () if position == NONE else (position,)
    return Step(name, after._replace(left=scene.world.left - 1), worker, batch, positions, is_eventual=False)


def _has_something(scene: Scene, worker: int) -> bool:
    world = scene.world
    return (
        worker == world.owner
        or world.workers[worker] != Worker()
        or any(batch.worker == worker for batch in world.batches)
        or any(d.sender == worker for batch in world.batches for d in batch.deliveries)
    )


def _needs_its_lease(scene: Scene, worker: int) -> bool:
    world = scene.world
    return (
        worker == world.owner
        or any(batch.worker == worker for batch in world.batches)
        or any(d.sender == worker and d.request in IN_WORKER for batch in world.batches for d in batch.deliveries)
    )


def crashed(scene: Scene) -> Steps:
    """A new process replaces the crashed one, whose leases for the page and its claims will lapse."""
    world = scene.world
    for worker in BOTH:
        if not _has_something(scene, worker):
            continue
        batches = tuple(_left_behind(batch, worker) for batch in world.batches)
        after = world._replace(
            batches=batches,
            owner=NONE if world.owner == worker else world.owner,
            workers=put(world.workers, worker, Worker()),
        )
        yield _disturbed("crash", scene, after, worker)


def _left_behind(batch: Batch, worker: int) -> Batch:
    deliveries = tuple(d.without_request() if d.sender == worker else d for d in batch.deliveries)
    return batch._replace(deliveries=deliveries, has_run=batch.has_run and batch.worker != worker)


def stopped(scene: Scene) -> Steps:
    """Stop a worker for longer than its lease, also between its last check of the lease and the write to the socket.

    No rule prevents the second case.
    """
    world = scene.world
    if any(not worker.is_running for worker in world.workers):
        return
    for worker in BOTH:
        if not _needs_its_lease(scene, worker):
            continue
        lapsed = put(world.workers, worker, world.workers[worker]._replace(lease=Lease.STOPPED))
        batches = tuple(_with_stale(batch, worker) for batch in world.batches)
        after = world._replace(workers=lapsed, batches=batches)
        yield _disturbed("SIGSTOP", scene, after, worker)
        if world.workers[worker].lease is Lease.HELD:
            yield from _stopped_before_the_write(scene, worker, after)


def _with_stale(batch: Batch, worker: int) -> Batch:
    if not any(d.sender == worker and d.request is Request.LEAVING for d in batch.deliveries):
        return batch
    stale = (
        d._replace(request=Request.STALE) if d.sender == worker and d.request is Request.LEAVING else d
        for d in batch.deliveries
    )
    return batch._replace(deliveries=tuple(stale))


def _stopped_before_the_write(scene: Scene, worker: int, after: World) -> Steps:
    for index, batch in enumerate(scene.world.batches):
        leaving = [p for p, d in enumerate(batch.deliveries) if d.sender == worker and d.request is Request.LEAVING]
        for position in leaving[:1]:
            cleared = decisions.at(
                after.batches[index], (position,), lambda delivery: delivery._replace(request=Request.CLEARED)
            )
            batches = (*after.batches[:index], cleared, *after.batches[index + 1 :])
            name = "SIGSTOP, just before the socket's write"
            yield _disturbed(name, scene, after._replace(batches=batches), worker, index, position)


def continued(scene: Scene) -> Steps:
    """Continue a stopped worker (SIGCONT)."""
    for worker in BOTH:
        state = scene.world.workers[worker]
        if state.lease is Lease.STOPPED:
            after = scene.with_worker(worker, state._replace(lease=Lease.LAPSED))
            yield Step("SIGCONT", after, worker, is_eventual=False)


def run_failed(scene: Scene) -> Steps:
    """A defect ends a worker's run; answers of its requests in flight still arrive."""
    for index, batch in enumerate(scene.world.batches):
        if batch.has_run and scene.is_running(batch.worker):
            kept = (d if d.request is Request.IN_FLIGHT else d.without_request() for d in batch.deliveries)
            broken = batch._replace(deliveries=tuple(kept), has_run=False)
            yield _disturbed("run failed", scene, scene.with_batch(index, broken), batch.worker, index)


def page_handed_over(scene: Scene) -> Steps:
    """A drain, or a page that moves to another process: with no request in flight the owner releases its batches."""
    world = scene.world
    worker = world.owner
    if not scene.is_running(worker) or world.is_done:
        return
    if any(d.sender == worker and d.claim == b.claim for b in world.batches for d in b.deliveries):
        return
    released = tuple(decisions.release(b) if b.worker == worker and b.has_run else b for b in world.batches)
    yield _disturbed("BatchReleased, page released", scene, world._replace(batches=released, owner=NONE), worker)


def process_batches(scene: Scene) -> Steps:
    """ProcessBatches releases batches whose worker's lease has lapsed or whose worker has no run for them."""
    asks = scene.rules.release_checks_the_lease
    for index, batch in enumerate(scene.world.batches):
        if batch.worker == NONE:
            continue
        is_silent = scene.world.workers[batch.worker].lease is not Lease.HELD
        released = scene.with_batch(index, decisions.release(batch)._replace(found_stuck=False))
        if not batch.has_run or batch.found_stuck or (is_silent and asks):
            yield _disturbed("BatchReleased, by ProcessBatches", scene, released, NONE, index)
        elif is_silent:
            found = scene.with_batch(index, batch._replace(found_stuck=True))
            yield Step("ProcessBatches finds the batch stuck", found, batch=index, is_eventual=False)


def answer_lost(scene: Scene) -> Steps:
    """A reset, a timeout or an unreadable answer: the outcome is unknown (protocol rule 5)."""
    for index, batch in enumerate(scene.world.batches):
        for position, delivery in enumerate(batch.deliveries):
            if delivery.request is Request.IN_FLIGHT and scene.is_running(delivery.sender):
                step = recorded(scene, index, position, Status.UNCONFIRMED)
                after = step.after._replace(left=scene.world.left - 1)
                yield step._replace(name=f"{step.name}, no answer arrived", after=after, is_eventual=False)


def receipt_recorded(scene: Scene) -> Steps:
    """Record the platform's echo on its own stream (protocol rule 4)."""
    for index, batch in enumerate(scene.world.batches):
        for position, delivery in enumerate(batch.deliveries):
            has_arrived = delivery.arrived or delivery.request is Request.IN_FLIGHT
            if has_arrived and not delivery.is_known_sent:
                after = scene.with_batch(index, decisions.at(batch, (position,), lambda d: _with_receipt(scene, d)))
                yield _disturbed("ReceiptRecorded", scene, after, NONE, index, position)


def _with_receipt(scene: Scene, delivery: Delivery) -> Delivery:
    """Without evidence_wins a receipt is one more event, which changes a closed delivery."""
    overrides = not scene.rules.evidence_wins and not delivery.status.is_open
    return delivery._replace(has_receipt=True, status=Status.SENT if overrides else delivery.status)


FAULT_STEPS = (
    crashed,
    stopped,
    run_failed,
    page_handed_over,
    process_batches,
    answer_lost,
    receipt_recorded,
)
