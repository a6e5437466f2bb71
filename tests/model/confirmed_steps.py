"""Steps of resends that a person confirms: named resends, canaries, and a new token that makes failures retryable."""

from domain.delivery import DeliveryStatus as Status
from domain.retry import RetryTrigger
from tests.model.scene import Scene, Step, Steps, moved
from tests.model.state import BOTH, Batch, Delivery, Plan, World


def token_replaced(scene: Scene) -> Steps:
    """Replace the token once; this starts no automatic round of a message that is done."""
    world = scene.world
    if world.is_waiting_for_token:
        after = world._replace(is_waiting_for_token=False, is_unnoticed=world.message.completed)
        yield Step("PageTokenReplaced", after, is_eventual=False)


def confirming_plans(scene: Scene) -> list[tuple[str, Plan]]:
    """Return the plans for one named recipient, and for a canary of one, if the scenario has these."""
    failed = scene.retryable(with_unconfirmed=False)
    plans = []
    if scene.scenario.manual_resend == "named":
        plans = [
            (f"Resend reads, names {one}", Plan(RetryTrigger.MANUAL, taken=(one,), is_named=True)) for one in failed
        ]
    if scene.scenario.manual_resend == "canary" and len(failed) > 1 and not scene.world.message.canary:
        plans = [("Resend reads, with a canary", Plan(RetryTrigger.MANUAL, taken=failed[:1], waiting=failed[1:]))]
    return plans


def confirmed(scene: Scene, plan: Plan) -> World:
    """Return the world after a person's resend, with left-out recipients and those that wait for a canary."""
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
    """Any process may append RetryStopped if the canary failed or is unconfirmed, and else the remaining recipients."""
    world, message = scene.world, scene.world.message
    if not message.canary or world.batches[message.canary[0]].is_open or message.cancelled:
        return
    index, *waiting = message.canary
    decided = message._replace(canary=())
    if any(scene.read(delivery) is not Status.SENT for delivery in world.batches[index].deliveries):
        yield Step("RetryStopped", moved(world, decided._replace(suspended=True)))
        return
    rest = tuple(who for who in waiting if who in scene.retryable(with_unconfirmed=False))
    after = scene._replace(world=moved(world, decided._replace(completed=False)))
    if rest:
        plan = Plan(RetryTrigger.MANUAL, taken=rest)
        yield Step(
            "RetryRequested, remaining recipients", after.with_new_batch(Batch(tuple(map(Delivery, rest)))), plan=plan
        )
    else:
        yield Step("RetryRequested, no remaining recipients", after.world)


CONFIRMED_STEPS = (token_replaced, canary_decided)
