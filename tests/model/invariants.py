"""Invariants of worlds, of steps, and of final worlds; each check returns the broken invariant or None."""

from collections import Counter
from functools import cache

from domain.delivery import DeliveryStatus as Status
from domain.retry import RetryTrigger, RetryType
from tests.model.message_steps import is_automatic_round_due, is_automatic_round_to_come
from tests.model.rules import ALL_RULES
from tests.model.scene import STATUSES, Scene, Step, statuses_at
from tests.model.state import BOTH, Batch, Plan, Request, Stopping, attempts_at, state_of

COUNTS = "the counts add up"
ONE_OPEN = "a recipient has at most one open delivery, and no attempts beyond the limit"
ENDS = "a batch is completed as soon as no delivery of it is open, and a message only then"
TWICE = "no recipient receives a message twice without a resend that includes unconfirmed deliveries"
ONE_ORDER = "one request starts one round"
KNOWN_SENT = "a recipient known to have received the message is not dispatched again"
STOPPED = "no delivery of a cancelled or paused message is dispatched"
STOP_IS_ALLOWED = "the service stops no message that is cancelled, paused or completed"
STOP_IS_NEW = "the service stops no message for failures before a person's resume or resend"
KEPT = "a stopped or paused message keeps its pending deliveries"
DURABLE = "no request leaves before its dispatch is durable"
CLAIM = "no request leaves under a lost claim, except after a pause between the last check and the write"
SENT_STAYS = "a delivery that reads as sent stays sent"
SEEN = "an accepted response is never discarded"
ONE_TRIGGER = "two triggers that read the same number of automatic rounds do not both start one"
NO_LOSS = "a crash loses nothing: every message reaches its end without a call"
CONFIRMED = "an automatic round takes no recipient that a person left out of a named resend"
SUSPENDED = "no automatic round starts between a stopped canary and a person's resume or resend"
AUTOMATIC = "every failed recipient had all automatic attempts"


def broken_in(scene: Scene) -> str | None:
    """Return the first invariant that the world breaks."""
    world, rules, scenario = scene
    if world.counts != _recounted(world.batches, rules.evidence_wins):
        return COUNTS
    if world.open_requests < 0:
        return ONE_ORDER
    if world.message.completed and world.is_open:
        return ENDS
    if not world.message.cancelled and any(batch.cancelled for batch in world.batches):
        return KEPT
    return _broken_at(world.batches, 1 + scenario.max_retry_attempts)


@cache
def _broken_at(batches: tuple[Batch, ...], most: int) -> str | None:
    for each in attempts_at(batches):
        if sum(delivery.status.is_open for delivery in each) > 1 or len(each) > most:
            return ONE_OPEN
    if any(batch.completed is batch.is_open for batch in batches):
        return ENDS
    unasked = attempts_at(tuple(batch for batch in batches if not batch.with_unconfirmed))
    return TWICE if any(sum(delivery.arrived for delivery in each) > 1 for each in unasked) else None


@cache
def _recounted(batches: tuple[Batch, ...], evidence_wins: bool) -> tuple[int, ...]:
    found = Counter(state_of(statuses) for statuses in statuses_at(batches, evidence_wins) if statuses)
    return tuple(found[status] for status in STATUSES)


def broken_by(scene: Scene, step: Step) -> str | None:
    """Return the first invariant that the step breaks."""
    if step.name.startswith("DeliveriesDispatched"):
        return _broken_by_dispatch(scene, step)
    if step.name.startswith("RequestLeaves"):
        return _broken_by_leaving(scene, step)
    if step.name == "MessageStopped":
        return _broken_by_stop(scene, step)
    if "OutcomesRecorded" in step.name:
        return _broken_by_outcome(scene, step)
    return _broken_by_automatic_round(scene, step.plan) if step.plan is not None else None


def _broken_by_automatic_round(scene: Scene, plan: Plan) -> str | None:
    message = scene.world.message
    if plan.trigger is RetryTrigger.MANUAL:
        return None
    if message.suspended:
        return SUSPENDED
    if set(message.left_out) & set(plan.taken):
        return CONFIRMED
    is_late = plan.trigger is RetryTrigger.CRON and plan.retry_count != message.retry_count
    return ONE_TRIGGER if is_late else None


def _broken_by_dispatch(scene: Scene, step: Step) -> str | None:
    world = scene.world
    if world.message.is_stopped:
        return STOPPED
    people = (world.batches[step.batch].deliveries[position].recipient for position in step.positions)
    return KNOWN_SENT if any(d.is_known_sent for who in people for d in world.attempts(who)) else None


def _broken_by_stop(scene: Scene, step: Step) -> str | None:
    world = scene.world
    if world.message.is_stopped or world.message.completed:
        return STOP_IS_ALLOWED
    return STOP_IS_NEW if world.workers[step.worker].stopping is Stopping.OVERRULED else None


def _broken_by_leaving(scene: Scene, step: Step) -> str | None:
    batch = scene.world.batches[step.batch]
    delivery = batch.deliveries[step.positions[0]]
    if delivery.status is Status.PENDING:
        return DURABLE
    if delivery.request is not Request.CLEARED and delivery.claim != batch.claim:
        return CLAIM
    return None


def _broken_by_outcome(scene: Scene, step: Step) -> str | None:
    before = scene.world.batches[step.batch].deliveries[step.positions[0]]
    after = step.after.batches[step.batch].deliveries[step.positions[0]]
    if scene.read(before) is Status.SENT and scene.read(after) is not Status.SENT:
        return SENT_STAYS
    is_seen = step.name.endswith(Status.SENT)
    return SEEN if is_seen and scene.read(after) is not Status.SENT else None


def broken_at_the_end(scene: Scene) -> str | None:
    """Return what is broken in a world without further eventual steps, even if a stopped worker stays stopped."""
    world = scene.world
    if not _is_final(scene._replace(rules=ALL_RULES)):
        return NO_LOSS
    if scene.scenario.retry_type is not RetryType.AUTO or world.message.is_stopped or world.message.suspended:
        return None
    if world.is_waiting_for_token or world.is_unnoticed:
        return None
    return AUTOMATIC if any(_has_attempts_left(scene, recipient) for recipient in BOTH) else None


def _has_attempts_left(scene: Scene, recipient: int) -> bool:
    """Return whether the recipient failed with attempts left.

    Recipients that were unconfirmed before do not count: the last automatic round may have ended before the failure.
    """
    if recipient in scene.world.message.left_out:
        return False
    attempts, statuses = scene.world.attempts(recipient), scene.statuses(recipient)
    if not statuses or state_of(statuses) is not Status.FAILED or len(statuses) > scene.scenario.max_retry_attempts:
        return False
    return Status.UNCONFIRMED not in statuses and not any(delivery.failed_late for delivery in attempts)


def _is_final(scene: Scene) -> bool:
    world = scene.world
    for batch in world.batches:
        for delivery in batch.deliveries:
            if delivery.request is not Request.NONE and scene.is_running(delivery.sender):
                return False
            if delivery.status is Status.SENDING or (delivery.status is Status.PENDING and not world.message.paused):
                return False
    is_held_back = world.message.paused and (world.is_open or is_automatic_round_to_come(scene))
    is_over = world.message.completed or is_held_back
    return is_over and not is_automatic_round_due(scene, RetryType.AUTO)
