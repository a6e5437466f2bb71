"""Canaries and capped resends, as they leave: through workers, the round closer and the sweep, to the platform."""

import asyncio
import time
from pathlib import Path

from domain.canary import Canary
from domain.delivery import DeliveryStatus
from domain.fault import ErrorType
from domain.message_events import MessageEvent, RetryRequested, RetryStopped
from domain.retry import RetryTrigger
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import (
    FAILED,
    NEVER_STOPPED,
    SENT,
    auto,
    cancel_message,
    crowd,
    delivered,
    pause_message,
    people,
    resume_message,
)
from tests.server.sending.histories import batch_of, write
from tests.server.sending.works import Works, open_works
from tests.waiting import eventually

FIVE = Canary(recipients=5, max_failure_share=0.4)
HICCUP = {"preset": "temporary", "times": 1}
OUTAGE = {"preset": "temporary"}
EVERYBODY = [who.id for who in crowd(150)]


async def all_failed(works: Works, control: SandboxControl, size: int = 150, **fields: object) -> str:
    await control.order(HICCUP)
    message_id = await works.send(crowd(size), stop_policy=NEVER_STOPPED, **fields)
    await works.done(message_id)
    return message_id


async def test_the_rest_follows_a_canary_that_went_well(works: Works, control: SandboxControl) -> None:
    message_id = await all_failed(works, control)
    await control.order({**OUTAGE, "recipients": EVERYBODY[1:3]})

    await works.resend(message_id, canary=FIVE)

    row = await works.done(message_id)
    assert await works.counts(message_id) == {"SENT": 148, "FAILED": 2}
    assert (row.status, row.round, row.batches_total) == ("PARTIALLY_SENT", 1, 5)
    assert set((await works.accepted()).values()) == {1}


async def test_a_canary_that_goes_badly_stops_the_round(works: Works, control: SandboxControl) -> None:
    message_id = await all_failed(works, control)
    await control.order({**OUTAGE, "recipients": EVERYBODY[1:4]})

    await works.resend(message_id, canary=FIVE)

    await works.done(message_id)
    (stopped,) = await works.events(message_id, RetryStopped)
    assert (stopped.round, stopped.recipients, stopped.failed, stopped.unconfirmed) == (1, 5, 3, 0)
    assert await works.counts(message_id) == {"SENT": 2, "FAILED": 148}
    assert len(await works.arrivals()) == 155


async def test_an_automatic_round_waits_until_the_canary_is_decided(works: Works, control: SandboxControl) -> None:
    await control.order({"preset": "unknown_recipient", "times": 1})
    message_id = await works.send(crowd(20), retry_policy=auto())
    await works.done(message_id)
    await control.order({**HICCUP, "recipients": EVERYBODY[1:3]})

    await works.resend(message_id, canary=FIVE, error_types=(ErrorType.INVALID_RECIPIENT,))

    await works.done(message_id)
    assert await works.counts(message_id) == {"SENT": 20}
    happened = await works.events(message_id, MessageEvent)
    by_hand, rest, automatic = (one for one in happened if isinstance(one, RetryRequested))
    assert (by_hand.trigger, by_hand.recipients, rest.recipients) == (RetryTrigger.MANUAL, 5, 15)
    assert (automatic.trigger, automatic.recipients) == (RetryTrigger.AUTO, 2)


async def test_a_canary_may_be_paused_and_goes_on_after_the_resume(works: Works, control: SandboxControl) -> None:
    message_id = await all_failed(works, control, 12)
    await works.resend(message_id, canary=FIVE, messages_per_second=10.0)
    await works.arrived(13)

    await works.pauses.pause(pause_message(message_id))
    paused = await eventually(lambda: works.row(message_id), lambda row: not row.counts[DeliveryStatus.SENDING])
    await works.pauses.resume(resume_message(message_id))

    assert (paused.status, paused.canary_round) == ("PAUSED", 1)
    assert (await works.done(message_id)).status == "SENT"
    assert set((await works.accepted()).values()) == {1}


async def test_a_cancel_ends_a_canary(works: Works, control: SandboxControl) -> None:
    message_id = await all_failed(works, control, 20)
    await works.resend(message_id, canary=FIVE, messages_per_second=10.0)
    await works.arrived(21)

    await works.cancels.cancel(cancel_message(message_id))

    row = await works.done(message_id)
    assert (row.status, row.canary_round, row.open_deliveries) == ("CANCELLED", 0, 0)
    assert len(await works.events(message_id, RetryRequested)) == 1


async def canary_over(works: Works, *, went_well: bool) -> str:
    """Nobody has heard that a canary came to its end: the process that sent it was killed right then."""
    message_id = await works.send(crowd(20))
    batch = await batch_of(works, message_id)
    await write(works, batch, *delivered(batch, dict.fromkeys(EVERYBODY, FAILED)))
    await works.resend(message_id, canary=FIVE)
    batch = await batch_of(works, message_id, 2)
    await write(works, batch, *delivered(batch, dict.fromkeys(EVERYBODY, SENT if went_well else FAILED)))
    return message_id


async def test_the_next_process_decides_what_a_killed_one_did_not(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as killed:
        await killed.put_page()
        well, badly = await canary_over(killed, went_well=True), await canary_over(killed, went_well=False)

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.start()

        assert (await works.done(well)).status == "SENT"
        assert (await works.done(badly)).status == "FAILED"
        assert len(await works.events(badly, RetryStopped)) == 1
        assert set((await works.accepted()).values()) == {1}
        assert len(await works.accepted()) == 15


async def test_a_canary_is_decided_while_others_of_the_message_are_on_their_way(idle: Works) -> None:
    message_id = await idle.send(crowd(130))
    batch = await batch_of(idle, message_id)
    await write(idle, batch, *delivered(batch, dict.fromkeys(EVERYBODY, FAILED)))
    await idle.resend(message_id, canary=FIVE)
    batch = await batch_of(idle, message_id, 3)
    await write(idle, batch, *delivered(batch, {}))
    await idle.put_page(pace=20.0)

    await idle.start()

    (_, rest) = await eventually(lambda: idle.events(message_id, RetryRequested), lambda found: len(found) == 2)
    assert (rest.recipients, (await idle.row(message_id)).is_open) == (95, True)


# A cap


async def test_a_capped_resend_leaves_no_faster_and_slows_nobody_down(works: Works, control: SandboxControl) -> None:
    message_id = await all_failed(works, control, 20)
    await control.order()
    began = time.monotonic()
    await works.resend(message_id, messages_per_second=12.0)
    await works.arrived(21)

    other = await works.send(people(*(f"other{number}" for number in range(300))), stop_policy=NEVER_STOPPED)
    await works.done(other)
    left = (await works.row(message_id)).open_deliveries
    await works.done(message_id)

    assert left > 0
    assert time.monotonic() - began > 1.3  # 3 leave at once, and as many each quarter of a second


async def test_a_cap_survives_a_restart(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as first:
        await first.put_page()
        message_id = await first.send(crowd(20))
        batch = await batch_of(first, message_id)
        await write(first, batch, *delivered(batch, dict.fromkeys(EVERYBODY, FAILED)))
        await first.resend(message_id, messages_per_second=20.0)

    async with open_works(database, sandbox, worker="worker-2") as works:
        began = time.monotonic()
        await works.start()
        await works.done(message_id)

        assert time.monotonic() - began > 0.7


async def test_the_batches_of_a_capped_round_share_its_cap(works: Works, control: SandboxControl) -> None:
    message_id = await all_failed(works, control, 250)
    began = time.monotonic()

    await works.resend(message_id, messages_per_second=250.0)

    await works.done(message_id)
    assert time.monotonic() - began > 0.7
    assert set((await works.accepted()).values()) == {1}


async def test_a_drain_lets_go_what_a_capped_round_has_not_sent(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as works:
        await works.put_page()
        await works.start()
        message_id = await all_failed(works, sandbox.control, 20)
        await works.resend(message_id, messages_per_second=1.0)
        await works.arrived(21)

        await asyncio.wait_for(works.drain(), 3)

        (_, capped) = await works.batches(message_id)
        assert (capped.status, capped.sending, capped.pending) == ("PENDING", 0, 19)
