"""A message that the service stopped: what is pending waits, and a resume lets it go on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from domain.delivery import DeliveryStatus
from domain.message_events import MessageResumed, MessageStopped
from domain.page_events import SendMode
from domain.stop_policy import Stop, StopCause, StopPolicy
from server.commands.lifecycle import StopService
from server.eventstore.commit import EventLog
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from server.sending.page_worker import OPEN_BATCHES
from tests.builders import auto, cancel_message, crowd, fault, pause_message, resume_message, wall_clock
from tests.server.sending.works import Works, open_works
from tests.waiting import eventually

UNPACED = 100_000.0
BAD_IMAGE = {"effect": {"kind": "error", "code": 100, "subcode": 2018008, "message": "Failed to fetch the file"}}
DEAD = {"preset": "unavailable_recipient"}


async def stopped(works: Works, message_id: str) -> MessageStopped:
    """The stop of a message, once nothing of it is in flight."""
    await eventually(
        lambda: works.row(message_id), lambda row: row.paused and not row.counts[DeliveryStatus.SENDING], within=20.0
    )
    return (await works.events(message_id, MessageStopped))[-1]


@pytest.mark.parametrize("mode", SendMode)
async def test_a_message_that_reaches_nobody_stops_after_exactly_its_first_hundred_attempts(
    works: Works, control: SandboxControl, mode: SendMode
) -> None:
    await works.put_page(pace=UNPACED, send_mode=mode)
    await control.order(DEAD)

    message_id = await works.send(crowd(1_000))
    event = await stopped(works, message_id)

    assert (event.stop.cause, event.stop.failed, event.stop.attempts) == (StopCause.FAILURE_SHARE, 100, 100)
    assert await works.counts(message_id) == {"FAILED": 100, "PENDING": 900}
    assert len(await works.arrivals()) == 100


async def test_a_resumed_message_goes_on_and_stops_again_only_after_as_many_failures(
    works: Works, control: SandboxControl
) -> None:
    await works.put_page(pace=UNPACED)
    await control.order(DEAD)
    message_id = await works.send(crowd(300))
    await stopped(works, message_id)

    await works.pauses.resume(resume_message(message_id))
    await eventually(lambda: works.counts(message_id), lambda counts: counts.get("FAILED") == 200)
    await stopped(works, message_id)
    await control.clear_faults()
    await works.pauses.resume(resume_message(message_id))
    row = await works.done(message_id)

    assert await works.counts(message_id) == {"FAILED": 200, "SENT": 100}
    assert (row.stop, row.paused) == (None, False)
    assert len(await works.events(message_id, MessageStopped)) == 2


async def test_the_share_of_ones_own_policy_stops_a_message(works: Works, control: SandboxControl) -> None:
    await works.put_page(pace=UNPACED)
    everybody = crowd(400)
    await control.order({**DEAD, "recipients": [one.id for one in everybody[::2]]})

    message_id = await works.send(everybody, stop_policy=StopPolicy(max_failure_share=0.4, min_attempts=20))
    event = await stopped(works, message_id)

    assert event.stop.cause is StopCause.FAILURE_SHARE
    assert event.stop.attempts >= 20
    assert (await works.row(message_id)).counts[DeliveryStatus.PENDING] >= 250


async def test_ten_messages_with_one_content_stop_each_for_itself(works: Works, control: SandboxControl) -> None:
    await works.put_page(pace=UNPACED)
    await control.order(BAD_IMAGE)

    ids = [await works.send(crowd(300, prefix=f"m{number}-")) for number in range(10)]

    for message_id in ids:
        assert (await stopped(works, message_id)).stop.cause is StopCause.CONTENT
        assert (await works.row(message_id)).counts[DeliveryStatus.FAILED] <= 125


async def test_a_message_with_nothing_left_to_stop_is_done(works: Works, control: SandboxControl) -> None:
    await works.put_page(pace=UNPACED)
    await control.order(DEAD)

    row = await works.done(await works.send(crowd(100)))

    assert (row.status, row.stop) == ("FAILED", None)


async def test_a_resend_by_hand_is_not_stopped_for_failures_of_before(works: Works, control: SandboxControl) -> None:
    await works.put_page(pace=UNPACED)
    await control.order({"preset": "temporary"})
    message_id = await works.send(crowd(100))
    await works.done(message_id)
    await control.clear_faults()

    await works.resend(message_id)

    row = await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")
    assert row.round == 1


async def test_automatic_rounds_of_a_message_that_reaches_nobody_stop(works: Works, control: SandboxControl) -> None:
    """An outage does not use up the attempts of all recipients."""
    await works.put_page(pace=UNPACED)
    await control.order({"preset": "temporary"})

    message_id = await works.send(crowd(100), retry_policy=auto())
    event = await stopped(works, message_id)

    assert event.stop.attempts == 100
    assert len(await works.arrivals()) == 100


async def test_a_stopped_message_can_be_cancelled_but_not_paused_again(works: Works, control: SandboxControl) -> None:
    await works.put_page(pace=UNPACED)
    await control.order(DEAD)
    message_id = await works.send(crowd(300))
    await stopped(works, message_id)

    row = await works.pauses.pause(pause_message(message_id))
    assert row.stop is not None
    await works.cancels.cancel(cancel_message(message_id))

    row = await works.done(message_id)
    assert (row.status, row.stop) == ("CANCELLED", None)


@pytest.mark.parametrize("overtakes", ["pause", "pause and resume"])
async def test_a_person_who_is_faster_than_a_stop_decides(works: Works, overtakes: str) -> None:
    """A resume that came after the failures is not answered with a stop for them."""
    await works.put_page(pace=1.0)
    message_id = await works.send(crowd(100))

    async def overtake(call: Any) -> Any:
        if not (await works.row(message_id)).paused and not await works.events(message_id, MessageResumed):
            await works.pauses.pause(pause_message(message_id))
        if overtakes == "pause and resume" and not await works.events(message_id, MessageResumed):
            await works.pauses.resume(resume_message(message_id))
        return await works.log.read(call)

    overtaken = cast("EventLog", SimpleNamespace(load=works.log.load, commit=works.log.commit, read=overtake))
    reason = Stop(cause=StopCause.CONTENT, fault=fault(), failed=25, attempts=25)

    assert not await StopService(overtaken, wall_clock).stop(message_id, reason)
    assert not await works.events(message_id, MessageStopped)
    assert (await works.row(message_id)).paused == (overtakes == "pause")


async def test_a_restarted_server_goes_on_counting(database: Path, sandbox: Sandbox) -> None:
    """What the attempts before the restart came to is read from the database."""
    await sandbox.control.order(DEAD)
    async with open_works(database, sandbox) as works:
        await works.put_page(pace=20.0)
        await works.start()
        message_id = await works.send(crowd(300))
        await works.arrived(30, within=20.0)
    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.put_page(pace=UNPACED)
        await works.start()
        event = await stopped(works, message_id)

        assert event.stop.attempts == 100
        assert len(await works.arrivals()) == 100


async def test_messages_that_await_their_first_outcome_do_not_claim_all_batches_of_a_page(
    works: Works, control: SandboxControl
) -> None:
    await works.put_page(pace=20.0)
    await control.order({"effect": {"kind": "delay", "seconds": 1}})
    policy = StopPolicy(max_failure_share=0.5, min_attempts=1)

    ids = [await works.send(crowd(2, prefix=f"m{number:03}-"), stop_policy=policy) for number in range(200)]
    await works.arrived(10, within=20.0)
    started = [batch for message_id in ids for batch in await works.batches(message_id) if batch.status == "STARTED"]

    assert len(started) <= 2 * OPEN_BATCHES
