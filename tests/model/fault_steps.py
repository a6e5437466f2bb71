"""What goes wrong, and what else comes from outside: each takes one of the disturbances that are left."""

from domain.delivery import DeliveryStatus as Status
from tests.model import decisions
from tests.model.scene import Scene, Step, Steps, put
from tests.model.state import BOTH, IN_WORKER, NOBODY, Batch, Delivery, Lease, Request, Worker, World
from tests.model.worker_steps import recorded


def _disturbed(
    name: str, scene: Scene, after: World, worker: int = NOBODY, batch: int = NOBODY, position: int = NOBODY
) -> Step:
    positions = () if position == NOBODY else (position,)
    return Step(name, after._replace(left=scene.world.left - 1), worker, batch, positions, leads_on=False)


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
    """A new process comes in the dead one's place; of its page and its claims the dead one's lease will lapse."""
    world = scene.world
    for worker in BOTH:
        if not _has_something(scene, worker):
            continue
        batches = tuple(_left_behind(batch, worker) for batch in world.batches)
        after = world._replace(
            batches=batches,
            owner=NOBODY if world.owner == worker else world.owner,
            workers=put(world.workers, worker, Worker()),
        )
        yield _disturbed("crash", scene, after, worker)


def _left_behind(batch: Batch, worker: int) -> Batch:
    deliveries = tuple(d.without_request() if d.sender == worker else d for d in batch.deliveries)
    return batch._replace(deliveries=deliveries, has_run=batch.has_run and batch.worker != worker)


def stopped(scene: Scene) -> Steps:
    """For longer than its lease; perhaps between the last look at it and the write, which no rule removes."""
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
    """SIGCONT."""
    for worker in BOTH:
        state = scene.world.workers[worker]
        if state.lease is Lease.STOPPED:
            after = scene.with_worker(worker, state._replace(lease=Lease.LAPSED))
            yield Step("SIGCONT", after, worker, leads_on=False)


def run_broke(scene: Scene) -> Steps:
    """A defect ends a worker's run; what it has in flight is still heard of."""
    for index, batch in enumerate(scene.world.batches):
        if batch.has_run and scene.is_running(batch.worker):
            kept = (d if d.request is Request.IN_FLIGHT else d.without_request() for d in batch.deliveries)
            broken = batch._replace(deliveries=tuple(kept), has_run=False)
            yield _disturbed("run broke", scene, scene.with_batch(index, broken), batch.worker, index)


def page_given_up(scene: Scene) -> Steps:
    """A drain, or a page that is let go to another process: with nothing in flight it releases what it has claimed."""
    world = scene.world
    worker = world.owner
    if not scene.is_running(worker) or world.is_done:
        return
    if any(d.sender == worker and d.claim == b.claim for b in world.batches for d in b.deliveries):
        return
    released = tuple(decisions.release(b) if b.worker == worker and b.has_run else b for b in world.batches)
    yield _disturbed("BatchReleased, page given up", scene, world._replace(batches=released, owner=NOBODY), worker)


def process_batches(scene: Scene) -> Steps:
    """By hand: frees batches whose worker gives no sign of life, or has no run of it any more."""
    asks = scene.rules.release_asks_for_the_lease
    for index, batch in enumerate(scene.world.batches):
        if batch.worker == NOBODY:
            continue
        is_silent = scene.world.workers[batch.worker].lease is not Lease.HELD
        released = scene.with_batch(index, decisions.release(batch)._replace(found_stuck=False))
        if not batch.has_run or batch.found_stuck or (is_silent and asks):
            yield _disturbed("BatchReleased, by ProcessBatches", scene, released, NOBODY, index)
        elif is_silent:
            found = scene.with_batch(index, batch._replace(found_stuck=True))
            yield Step("ProcessBatches finds the batch stuck", found, batch=index, leads_on=False)


def answer_lost(scene: Scene) -> Steps:
    """A reset, a time-out, a garbled reply: the outcome is unknown (rule 5)."""
    for index, batch in enumerate(scene.world.batches):
        for position, delivery in enumerate(batch.deliveries):
            if delivery.request is Request.IN_FLIGHT and scene.is_running(delivery.sender):
                step = recorded(scene, index, position, Status.UNCONFIRMED)
                after = step.after._replace(left=scene.world.left - 1)
                yield step._replace(name=f"{step.name}, since no answer came", after=after, leads_on=False)


def receipt_recorded(scene: Scene) -> Steps:
    """The platform's echo, on a stream of its own (rule 4)."""
    for index, batch in enumerate(scene.world.batches):
        for position, delivery in enumerate(batch.deliveries):
            has_arrived = delivery.arrived or delivery.request is Request.IN_FLIGHT
            if has_arrived and not delivery.is_known_sent:
                after = scene.with_batch(index, decisions.at(batch, (position,), lambda d: _with_receipt(scene, d)))
                yield _disturbed("ReceiptRecorded", scene, after, NOBODY, index, position)


def _with_receipt(scene: Scene, delivery: Delivery) -> Delivery:
    """Without evidence_wins it is one more event, which changes what is closed."""
    is_last_word = not scene.rules.evidence_wins and not delivery.status.is_open
    return delivery._replace(has_receipt=True, status=Status.SENT if is_last_word else delivery.status)


FAULT_STEPS = (
    crashed,
    stopped,
    run_broke,
    page_given_up,
    process_batches,
    answer_lost,
    receipt_recorded,
)
