"""Steps of callers, and steps that end rounds: cancel, pause, resend, automatic rounds, completion."""

from collections.abc import Iterable

from domain.delivery import DeliveryStatus as Status
from domain.retry import RetryTrigger, RetryType
from tests.model import decisions
from tests.model.confirmed_steps import CONFIRMED_STEPS, confirmed, confirming_plans
from tests.model.scene import Scene, Step, Steps, moved, put
from tests.model.state import BOTH, NONE, Batch, Delivery, Plan, Stopping, World

MOST_PLANS = 2  # at the same time


def message_cancelled(scene: Scene) -> Steps:
    """The owner cancels the message."""
    world = scene.world
    if world.left and not world.message.cancelled and not world.message.completed:
        after = moved(world, world.message._replace(cancelled=True, canary=(), suspended=False))._replace(
            left=world.left - 1
        )
        yield Step("MessageCancelled", after, is_eventual=False)


def message_paused(scene: Scene) -> Steps:
    """Pause a message that is not done or waits for the timer; afterwards it is not done.

    A page on hold has the same effect on every guard.
    """
    world, message = scene.world, scene.world.message
    has_something = not message.completed or is_automatic_round_due(scene, RetryType.CRON)
    if world.left and not message.is_stopped and has_something:
        after = moved(world, message._replace(paused=True, completed=False))._replace(left=world.left - 1)
        yield Step("MessagePaused", after, is_eventual=False)


def message_resumed(scene: Scene) -> Steps:
    """Resume the message; it may be done already. A suspension and the limit of a named resend end too."""
    world, message = scene.world, scene.world.message
    if (message.paused or message.suspended) and not message.cancelled:
        left_out = () if message.suspended else message.left_out
        is_stopped = message.stopped and not scene.rules.resume_clears_a_stop
        resumed = message._replace(paused=False, suspended=False, left_out=left_out, stopped=is_stopped)
        after = moved(world, resumed, overrules=True)
        yield Step("MessageResumed", scene._replace(world=after).with_notification(), is_eventual=False)


def batch_cancelled(scene: Scene) -> Steps:
    """The cancelling caller, the worker or the reconciler cancels a batch."""
    message = scene.world.message
    if not message.cancelled and (scene.rules.stop_keeps_pending_deliveries or not message.stopped):
        return
    for index, batch in enumerate(scene.world.batches):
        if not batch.completed and not batch.cancelled:
            yield Step("BatchCancelled", scene.with_batch(index, decisions.cancel(batch, scene.rules)), batch=index)


def resend_read(scene: Scene) -> Steps:
    """A manual Resend loads the message's version, then the recipients to resend (protocol rule 11)."""
    world = scene.world
    if not world.left or world.message.cancelled or len(world.plans) == MOST_PLANS:
        return
    plain = scene.taken(with_unconfirmed=False)
    for with_unconfirmed, taken in ((False, plain), (True, scene.taken(with_unconfirmed=True))):
        if taken and (not with_unconfirmed or taken != plain):
            after = scene.with_plan(Plan(RetryTrigger.MANUAL, with_unconfirmed=with_unconfirmed, taken=taken))
            name = "Resend reads, include_unconfirmed" if with_unconfirmed else "Resend reads"
            yield _requested(name, scene, after)
    for name, plan in confirming_plans(scene):
        after = scene.with_plan(plan)
        yield _requested(name, scene, after)


def _requested(name: str, scene: Scene, after: World) -> Step:
    world = scene.world
    requested = after._replace(left=world.left - 1, open_requests=world.open_requests + 1)
    return Step(name, requested, is_eventual=False)


def automatic_round_read(scene: Scene) -> Steps:
    """Prepare an AUTO round after a round has ended, on a notification or by the reconciler."""
    if len(scene.world.plans) == MOST_PLANS or not is_automatic_round_due(scene, RetryType.AUTO):
        return
    for worker in _finalizers(scene):
        plan = Plan(RetryTrigger.AUTO, taken=scene.taken_by_policy())
        yield Step("AutomaticRound reads", _with_handled_notification(scene.with_plan(plan), worker), worker)


def timer_ran(scene: Scene) -> Steps:
    """The timer or RunScheduledRetries finds the message (CRON); a later step plans its round."""
    world = scene.world
    may_find = world.left and len(world.plans) < MOST_PLANS and world.message.completed
    if may_find and is_automatic_round_due(scene, RetryType.CRON):
        fired = Plan(RetryTrigger.CRON, retry_count=world.message.retry_count)
        yield Step("Timer finds the message", scene.with_plan(fired)._replace(left=world.left - 1), is_eventual=False)
    for plan in world.plans:
        if not plan.taken:
            yield Step("AutomaticRound reads", scene.with_plan(_after_read(scene, plan), instead_of=plan))


def _after_read(scene: Scene, plan: Plan) -> Plan | None:
    """Return the plan with its recipients; None if another automatic round has started (protocol rule 11)."""
    moved = scene.world.message.retry_count != plan.retry_count and scene.rules.trigger_carries_retry_count
    if moved or not is_automatic_round_due(scene, RetryType.CRON):
        return None
    return plan._replace(taken=scene.taken_by_policy())


def is_automatic_round_due(scene: Scene, retry_type: RetryType) -> bool:
    """Return whether the policy allows a round now, none is open, and a recipient can be retried."""
    world = scene.world
    if scene.scenario.retry_type is not retry_type or world.message.paused:
        return False
    if world.message.canary or (world.is_unnoticed and retry_type is RetryType.AUTO):
        return False
    is_open = scene.world.is_open and scene.rules.no_automatic_round_while_one_is_open
    return not is_open and is_automatic_round_to_come(scene)


def is_automatic_round_to_come(scene: Scene) -> bool:
    """Return whether an automatic round will follow, possibly only after a resume."""
    message, scenario = scene.world.message, scene.scenario
    has_rounds = scenario.retry_type is not RetryType.MANUAL and message.retry_count < scenario.max_retry_attempts
    return has_rounds and not message.cancelled and bool(scene.taken_by_policy())


def _finalizers(scene: Scene) -> Iterable[int]:
    """Return the processes that check the message's end: any reconciler, or workers with a notification."""
    is_swept = scene.rules.ends_are_swept
    if scene.world.message.completed:
        is_swept = is_swept and scene.rules.late_failures_are_swept
    if is_swept:
        return (NONE,)
    return [worker for worker in BOTH if scene.is_running(worker) and scene.world.workers[worker].was_notified]


def _with_handled_notification(world: World, worker: int) -> World:
    if worker == NONE:
        return world
    return world._replace(workers=put(world.workers, worker, world.workers[worker]._replace(was_notified=False)))


def retry_requested(scene: Scene) -> Steps:
    """Append RetryRequested and its batch at the loaded version; after a conflict callers retry and triggers stop."""
    world, rules, _ = scene
    for plan in world.plans:
        if not plan.taken:
            continue
        if not plan.is_current and (rules.resend_appends_at_the_version_it_loaded or world.message.cancelled):
            yield Step("the message has a newer version", _read_again(scene, plan))
            continue
        after = _appended(scene, plan)
        yield Step("RetryRequested", after, plan=plan)
        if not rules.append_id_prevents_repeated_commits and world.left:
            again = tuple(sorted((*after.plans, plan._replace(is_current=False))))
            lost = after._replace(plans=again, left=world.left - 1)
            yield Step("RetryRequested, but its answer is lost", lost, is_eventual=False, plan=plan)


def _appended(scene: Scene, plan: Plan) -> World:
    batch = Batch(tuple(Delivery(recipient) for recipient in plan.taken), with_unconfirmed=plan.with_unconfirmed)
    is_automatic = plan.trigger is not RetryTrigger.MANUAL
    if not is_automatic:
        scene = scene._replace(world=confirmed(scene, plan))
    world = scene._replace(world=scene.with_plan(None, instead_of=plan)).with_new_batch(batch)
    message = world.message._replace(completed=False, retry_count=world.message.retry_count + is_automatic)
    return moved(world, message, overrules=not is_automatic)._replace(
        open_requests=world.open_requests - (not is_automatic)
    )


def _read_again(scene: Scene, plan: Plan) -> World:
    is_order = plan.trigger is RetryTrigger.MANUAL
    taken = () if scene.world.message.cancelled else scene.taken(with_unconfirmed=plan.with_unconfirmed)
    if plan.is_named or plan.waiting:
        taken = ()  # the caller must call again
    if is_order and taken:
        return scene.with_plan(plan._replace(taken=taken, is_current=True), instead_of=plan)
    return scene.with_plan(None, instead_of=plan)._replace(open_requests=max(0, scene.world.open_requests - is_order))


def message_completed(scene: Scene) -> Steps:
    """Decide completion by a read after the last commit, on a notification or by reconciling (protocol rule 2)."""
    world = scene.world
    if (
        world.message.completed
        or world.is_open
        or world.message.canary
        or is_automatic_round_due(scene, RetryType.AUTO)
    ):
        return
    if world.message.paused and is_automatic_round_to_come(scene):
        return
    for worker in _finalizers(scene):
        after = moved(world, world.message._replace(completed=True, paused=False, stopped=False))
        yield Step("MessageCompleted", _with_handled_notification(after, worker), worker)


def stop_decided(scene: Scene) -> Steps:
    """The page's owner decides to stop the message after failures: it halts its runs and loads the message.

    The domain decides which failures require a stop; here it may happen at any time.
    """
    world = scene.world
    if not (scene.scenario.stops and world.left and _is_stop_due(world) and scene.is_running(world.owner)):
        return
    if world.workers[world.owner].stopping is Stopping.NONE:
        after = _with_stopping(scene, world.owner, Stopping.CURRENT)
        yield Step("the service decides to stop", after._replace(left=world.left - 1), world.owner, is_eventual=False)


def message_stopped(scene: Scene) -> Steps:
    """Append MessageStopped at the loaded version; on a conflict the message is loaded again."""
    rules = scene.rules
    for worker in BOTH:
        stopping = scene.world.workers[worker].stopping
        if stopping is Stopping.NONE or not scene.is_running(worker):
            continue
        ignores_decision = stopping is Stopping.OVERRULED and not rules.stop_yields_to_a_resume_or_resend
        may_append = stopping is Stopping.CURRENT or (ignores_decision and _is_stop_due(scene.world))
        if may_append or not rules.stop_appends_at_the_version_it_loaded:
            after = _with_stopping(scene, worker, Stopping.NONE)
            yield Step("MessageStopped", moved(after, after.message._replace(paused=True, stopped=True)), worker)
        elif (after := _loaded_again(scene, worker, stopping)) != scene.world:
            yield Step("the message to stop has a newer version", after, worker)


def _loaded_again(scene: Scene, worker: int, stopping: Stopping) -> World:
    if stopping is Stopping.MOVED and _is_stop_due(scene.world):
        return _with_stopping(scene, worker, Stopping.CURRENT)
    ends_halt = scene.rules.abandoned_stop_ends_its_halt
    return _with_stopping(scene, worker, Stopping.NONE if ends_halt else Stopping.OVERRULED)


def _is_stop_due(world: World) -> bool:
    """Return whether `domain.message.stop` would stop the message."""
    is_over = world.message.is_stopped or world.message.completed
    return not is_over and any(batch.positions(Status.PENDING) for batch in world.batches)


def _with_stopping(scene: Scene, worker: int, stopping: Stopping) -> World:
    return scene.with_worker(worker, scene.world.workers[worker]._replace(stopping=stopping))


MESSAGE_STEPS = (
    message_cancelled,
    message_paused,
    message_resumed,
    batch_cancelled,
    resend_read,
    automatic_round_read,
    timer_ran,
    retry_requested,
    message_completed,
    *CONFIRMED_STEPS,
    stop_decided,
    message_stopped,
)
