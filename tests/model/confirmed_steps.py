"""What a person confirms: named resends and canaries; and a new token, after which failures can be retried."""

from domain.delivery import DeliveryStatus as Status
from domain.retry import RetryTrigger
from tests.model.scene import Scene, Step, Steps, moved
from tests.model.state import BOTH, Batch, Delivery, Plan, World


def token_replaced(scene: Scene) -> Steps:
    """Once; no automatic round of a message that is done starts because of it."""
    world = scene.world
    if world.is_waiting_for_token:
        after = world._replace(is_waiting_for_token=False, is_unnoticed=world.message.completed)
        yield Step("PageTokenReplaced", after, leads_on=False)


def confirming_plans(scene: Scene) -> list[tuple[str, Plan]]:
    """A resend of one named recipient, and a canary of one: only in scenarios that are about these."""
    failed = scene.retryable(asked=False)
    plans = []
    if scene.scenario.by_hand == "named":
        plans = [
            (f"Resend looks, names {one}", Plan(RetryTrigger.MANUAL, taken=(one,), is_named=True)) for one in failed
        ]
    if scene.scenario.by_hand == "canary" and len(failed) > 1 and not scene.world.message.canary:
        plans = [("Resend looks, with a canary", Plan(RetryTrigger.MANUAL, taken=failed[:1], waiting=failed[1:]))]
    return plans


def confirmed(scene: Scene, plan: Plan) -> World:
    """The world after a person's resend was appended: the recipients that it left out, and a canary's rest."""
    message = scene.world.message
    is_under_way = scene.world.is_open or bool(message.canary)
    left_out = message.left_out
    if not plan.is_named:
        left_out = ()
    elif left_out or not is_under_way:
        left_out = tuple(who for who in left_out or BOTH if who not in plan.taken)
    canary = (len(scene.world.batches), *plan.waiting) if plan.waiting else message.canary
    return scene.world._replace(message=message._replace(left_out=left_out, suspended=False, canary=canary))


def canary_decided(scene: Scene) -> Steps:
    """RetryStopped if the canary failed or is unconfirmed, else the rest, by whichever process looks."""
    world, message = scene.world, scene.world.message
    if not message.canary or world.batches[message.canary[0]].is_open or message.cancelled:
        return
    index, *waiting = message.canary
    decided = message._replace(canary=())
    if any(scene.read(delivery) is not Status.SENT for delivery in world.batches[index].deliveries):
        yield Step("RetryStopped", moved(world, decided._replace(suspended=True)))
        return
    rest = tuple(who for who in waiting if who in scene.retryable(asked=False))
    after = scene._replace(world=moved(world, decided._replace(completed=False)))
    if rest:
        plan = Plan(RetryTrigger.MANUAL, taken=rest)
        yield Step("RetryRequested, the rest", after.with_new_batch(Batch(tuple(map(Delivery, rest)))), plan=plan)
    else:
        yield Step("RetryRequested, no rest", after.world)


CONFIRMED_STEPS = (token_replaced, canary_decided)
