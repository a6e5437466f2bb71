"""What callers ask for, and what closes rounds: cancel, pause, resend, automatic rounds, completion."""

from domain.delivery import DeliveryStatus as Status
from domain.retry import RetryTrigger, RetryType
from tests.model import decisions
from tests.model.scene import Scene, Step, Steps, put
from tests.model.state import BOTH, Batch, Delivery, Message, Plan, Worker, World


def _moved(world: World, message: Message) -> World:
    """One more event on the message's stream: whoever prepared a round has loaded an old version."""
    workers = tuple(_outdated(worker) for worker in world.workers)
    return world._replace(message=message, workers=workers)


def _outdated(worker: Worker) -> Worker:
    if worker.plan is None or not worker.plan.taken:
        return worker
    return worker._replace(plan=worker.plan._replace(is_current=False))


def message_cancelled(scene: Scene) -> Steps:
    """By its owner, for good."""
    world = scene.world
    if world.left and not world.message.cancelled and not world.message.completed:
        after = _moved(world, world.message._replace(cancelled=True))._replace(left=world.left - 1)
        yield Step("MessageCancelled", after, leads_on=False)


def message_paused(scene: Scene) -> Steps:
    """A page on hold is the same to every guard."""
    world = scene.world
    if world.left and not (world.message.paused or world.message.cancelled) and world.is_open:
        after = _moved(world, world.message._replace(paused=True))._replace(left=world.left - 1)
        yield Step("MessagePaused", after, leads_on=False)
    if world.message.paused:
        yield Step("MessageResumed", _moved(world, world.message._replace(paused=False)), leads_on=False)


def batch_cancelled(scene: Scene) -> Steps:
    """By the caller that cancels, the worker or the sweep."""
    if not scene.world.message.cancelled:
        return
    for index, batch in enumerate(scene.world.batches):
        if not batch.completed and not batch.cancelled:
            yield Step("BatchCancelled", scene.with_batch(index, decisions.cancel(batch, scene.rules)), batch=index)


def resend_looked(scene: Scene) -> Steps:
    """Resend by hand: a worker loads the message's version, then whom to resend (rule 11)."""
    world = scene.world
    if not world.left or world.message.cancelled:
        return
    plain = scene.taken(asked=False)
    for worker in BOTH:
        if not scene.is_running(worker) or world.workers[worker].plan is not None:
            continue
        for asked, taken in ((False, plain), (True, scene.taken(asked=True))):
            if taken and (not asked or taken != plain):
                plan = Plan(RetryTrigger.MANUAL, asked=asked, taken=taken)
                after = scene.with_plan(worker, plan)._replace(left=world.left - 1, orders=world.orders + asked)
                name = "Resend looks, include_unconfirmed" if asked else "Resend looks"
                yield Step(name, after, worker, leads_on=False)


def automatic_round_looked(scene: Scene) -> Steps:
    """Right after a round (AUTO): by news of its end, or by the sweep."""
    for worker in BOTH:
        if scene.is_running(worker) and scene.world.workers[worker].plan is None and _may_close(scene, worker):
            if is_automatic_round_due(scene, RetryType.AUTO):
                plan = Plan(RetryTrigger.AUTO, taken=scene.taken(asked=False))
                yield Step("AutomaticRound looks", _heeded(scene, scene.with_plan(worker, plan), worker), worker)


def timer_ran(scene: Scene) -> Steps:
    """The timer, or RunScheduledRetries, finds the message (CRON), and later plans its round."""
    world = scene.world
    for worker in BOTH:
        plan = world.workers[worker].plan
        if not scene.is_running(worker):
            continue
        if plan is None and world.left and world.message.completed and is_automatic_round_due(scene, RetryType.CRON):
            fired = Plan(RetryTrigger.CRON, retry_count=world.message.retry_count)
            yield Step(
                "Timer finds the message",
                scene.with_plan(worker, fired)._replace(left=world.left - 1),
                worker,
                leads_on=False,
            )
        if plan is not None and not plan.taken:
            yield Step("AutomaticRound looks", scene.with_plan(worker, _after_look(scene, plan)), worker)


def _after_look(scene: Scene, plan: Plan) -> Plan | None:
    """If the message has had other automatic rounds than the trigger saw, it stops (rule 11)."""
    moved = scene.world.message.retry_count != plan.retry_count and scene.rules.trigger_carries_retry_count
    if moved or not is_automatic_round_due(scene, RetryType.CRON):
        return None
    return plan._replace(taken=scene.taken(asked=False))


def is_automatic_round_due(scene: Scene, retry_type: RetryType) -> bool:
    """The policy allows one, none is open, and somebody can be retried."""
    message, scenario = scene.world.message, scene.scenario
    if scenario.retry_type is not retry_type or message.retry_count >= scenario.max_retry_attempts:
        return False
    if message.cancelled or message.paused:
        return False
    is_open = scene.world.is_open and scene.rules.no_automatic_round_while_one_is_open
    return not is_open and bool(scene.taken(asked=False))


def _may_close(scene: Scene, worker: int) -> bool:
    is_swept = scene.rules.ends_are_swept
    if scene.world.message.completed:
        is_swept = is_swept and scene.rules.late_failures_are_swept
    return is_swept or scene.world.workers[worker].has_news


def _heeded(scene: Scene, world: World, worker: int) -> World:
    return world._replace(workers=put(world.workers, worker, world.workers[worker]._replace(has_news=False)))


def retry_requested(scene: Scene) -> Steps:
    """RetryRequested and its batch, at the version that was loaded; who is beaten looks again, a trigger stops."""
    world, rules, _ = scene
    for worker in BOTH:
        plan = world.workers[worker].plan
        if plan is None or not plan.taken or not scene.is_running(worker):
            continue
        if plan.is_current or not (rules.resend_appends_at_the_version_it_loaded or world.message.cancelled):
            yield Step("RetryRequested", _appended(scene, worker, plan), worker)
            if not rules.append_id_tells_what_was_written and world.left:
                lost = _appended(scene, worker, plan)._replace(left=world.left - 1)
                again = put(lost.workers, worker, lost.workers[worker]._replace(plan=plan._replace(is_current=False)))
                name = "RetryRequested, but its worker does not hear of it"
                yield Step(name, lost._replace(workers=again), worker, leads_on=False)
        else:
            yield Step("the message has moved on", _looked_again(scene, worker, plan), worker)


def _appended(scene: Scene, worker: int, plan: Plan) -> World:
    batch = Batch(tuple(Delivery(recipient) for recipient in plan.taken), asked=plan.asked)
    is_automatic = plan.trigger is not RetryTrigger.MANUAL
    message = scene.world.message
    requested = message._replace(completed=False, retry_count=message.retry_count + is_automatic)
    world = _moved(scene.with_new_batch(batch), requested)._replace(orders=scene.world.orders - plan.asked)
    return world._replace(workers=put(world.workers, worker, world.workers[worker]._replace(plan=None)))


def _looked_again(scene: Scene, worker: int, plan: Plan) -> World:
    taken = () if scene.world.message.cancelled else scene.taken(asked=plan.asked)
    if plan.trigger is RetryTrigger.MANUAL and taken:
        return scene.with_plan(worker, plan._replace(taken=taken, is_current=True))
    return scene.with_plan(worker, None)._replace(orders=scene.world.orders - plan.asked)


def message_completed(scene: Scene) -> Steps:
    """Decided by a read after the last batch's commit, by its news or by the sweep (rule 2)."""
    world = scene.world
    if world.message.completed or world.is_open or is_automatic_round_due(scene, RetryType.AUTO):
        return
    for worker in BOTH:
        if scene.is_running(worker) and _may_close(scene, worker):
            after = _moved(world, world.message._replace(completed=True))
            yield Step("MessageCompleted", _heeded(scene, after, worker), worker)
            if scene.rules.ends_are_swept:
                return


MESSAGE_STEPS = (
    message_cancelled,
    message_paused,
    batch_cancelled,
    resend_looked,
    automatic_round_looked,
    timer_ran,
    retry_requested,
    message_completed,
)
