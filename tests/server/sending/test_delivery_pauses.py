"""A pause in the middle of sending: nothing more leaves, and after the resume everything does, once."""

import time
from pathlib import Path

import pytest

from domain.batch_events import BatchReleased, BatchStarted
from domain.message_events import MessageCompleted
from domain.page_events import SendMode
from server.background.timer_report import TimerStatus
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import auto, cancel_message, cron, crowd, pause_message, people, resume_message
from tests.server.sending.histories import begun_by
from tests.server.sending.works import Works, open_works
from tests.waiting import eventually

HICCUP = {"preset": "temporary", "times": 1}
SLOW = {"effect": {"kind": "delay", "seconds": 0.5}}


async def quiet(works: Works, message_id: str, within: float = 10.0) -> dict[str, int]:
    """The counts, once nothing is on its way and no worker has any of it."""

    async def at_rest() -> bool:
        return "SENDING" not in await works.counts(message_id) and not await started(works, message_id)

    await eventually(at_rest, within=within)
    return await works.counts(message_id)


async def started(works: Works, message_id: str) -> list[int]:
    return [batch.number for batch in await works.batches(message_id) if batch.status == "STARTED"]


@pytest.mark.parametrize("send_mode", SendMode)
async def test_a_pause_in_mid_send_holds_the_rest_back(
    works: Works, control: SandboxControl, send_mode: SendMode
) -> None:
    await works.put_page(access_token="", pace=100.0, send_mode=send_mode)
    await control.order({"effect": {"kind": "delay", "seconds": 0.2}})
    message_id = await works.send(crowd(350))
    await works.arrived(20)

    before = time.monotonic()
    await works.pauses.pause(pause_message(message_id))
    counts = await quiet(works, message_id)

    assert time.monotonic() - before < 1.5  # a request's time, and what a busy machine takes
    assert (await works.row(message_id)).status == "PAUSED"
    assert counts.keys() == {"SENT", "PENDING"}
    assert sum(counts.values()) == 350
    assert len(await works.accepted()) == counts["SENT"]

    await works.put_page(access_token="", pace=2_000.0)
    await works.pauses.resume(resume_message(message_id))
    assert (await works.done(message_id)).status == "SENT"
    assert await works.accepted() == {who.id: 1 for who in crowd(350)}


async def test_a_pause_does_not_wait_for_the_pace(works: Works) -> None:
    """The next message would leave in ten seconds."""
    await works.put_page(access_token="", pace=0.1)
    message_id = await works.send(crowd(5))
    await works.arrived(1)

    await works.pauses.pause(pause_message(message_id))

    assert await quiet(works, message_id, within=5.0) == {"SENT": 1, "PENDING": 4}
    assert len(await works.events(message_id, BatchStarted, 1)) == 1
    assert len(await works.events(message_id, BatchReleased, 1)) == 1


async def test_a_paused_message_lets_the_others_pass(idle: Works) -> None:
    """However much of it waits before them."""
    paused = await idle.send(crowd(2_000, "a"))
    await idle.pauses.pause(pause_message(paused))
    goes_on = await idle.send(crowd(250, "b"))

    await idle.start()

    assert (await idle.done(goes_on)).status == "SENT"
    assert await idle.counts(paused) == {"PENDING": 2_000}
    assert await idle.events(paused, BatchStarted, 1) == []


async def test_a_page_that_has_only_paused_work_has_no_worker(works: Works) -> None:
    message_id = await works.send(crowd(500))
    await works.pauses.pause(pause_message(message_id))
    await quiet(works, message_id)

    async def workers() -> int:
        return len(works.dispatcher._workers)

    await eventually(workers, lambda count: not count)
    await works.pauses.resume(resume_message(message_id))
    assert (await works.done(message_id)).status == "SENT"


async def test_pauses_and_resumes_in_quick_succession_lose_nobody_and_repeat_nobody(works: Works) -> None:
    await works.put_page(access_token="", pace=400.0)
    message_id = await works.send(crowd(300))
    for arrived in range(20, 260, 40):
        await works.arrived(arrived)
        await works.pauses.pause(pause_message(message_id))
        await works.pauses.resume(resume_message(message_id))

    assert (await works.done(message_id)).status == "SENT"
    assert await works.accepted() == {who.id: 1 for who in crowd(300)}


async def test_a_pause_outlives_a_restart(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as works:
        await works.put_page()
        await works.start()
        message_id = await works.send(crowd(300))
        await works.pauses.pause(pause_message(message_id))
        sent = (await quiet(works, message_id)).get("SENT", 0)

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.start()
        other = await works.send(people("ann"))
        await works.done(other)
        assert (await works.row(message_id)).status == "PAUSED"
        assert len(await works.accepted()) == sent + 1

        await works.pauses.resume(resume_message(message_id))
        assert (await works.done(message_id)).status == "SENT"


async def test_what_a_dead_worker_had_in_flight_becomes_unconfirmed_also_while_paused(idle: Works) -> None:
    message_id = await idle.send(people("ann", "bob"))
    await begun_by(idle, "dead", message_id, dispatched=[0])
    await idle.pauses.pause(pause_message(message_id))

    await idle.start()

    assert await quiet(idle, message_id) == {"UNCONFIRMED": 1, "PENDING": 1}
    assert [event.claim for event in await idle.events(message_id, BatchReleased, 1)] == [4]
    assert await idle.arrivals() == []
    await idle.pauses.resume(resume_message(message_id))
    await idle.done(message_id)
    assert await idle.accepted() == {"bob": 1}


async def test_process_batches_starts_nothing_of_a_paused_message(works: Works) -> None:
    message_id = await works.send(crowd(300))
    await works.pauses.pause(pause_message(message_id))
    before = await quiet(works, message_id)

    assert await works.stuck.process("local", message_id) == (
        0,
        len([b for b in await works.batches(message_id) if b.pending]),
    )

    other = await works.send(people("ann"))
    await works.done(other)
    assert await works.counts(message_id) == before


# What else may be asked for meanwhile


async def test_a_cancel_of_a_paused_message_is_final_and_reaches_everything(works: Works) -> None:
    await works.put_page(access_token="", pace=100.0)
    message_id = await works.send(crowd(350))
    await works.arrived(10)
    await works.pauses.pause(pause_message(message_id))
    await works.cancels.cancel(cancel_message(message_id))

    row = await works.done(message_id)
    counts = await works.counts(message_id)
    assert row.status == "CANCELLED"
    assert counts.keys() == {"SENT", "CANCELLED"}
    assert len(await works.accepted()) == counts["SENT"]


async def test_a_cancel_while_the_pause_still_waits_for_answers_takes_what_is_pending(
    works: Works, control: SandboxControl
) -> None:
    await control.order(SLOW)
    await works.put_page(access_token="", pace=20.0)
    message_id = await works.send(crowd(50))
    await works.arrived(3)

    await works.pauses.pause(pause_message(message_id))
    await works.cancels.cancel(cancel_message(message_id))

    assert (await works.done(message_id)).status == "CANCELLED"
    assert (await works.counts(message_id)).keys() == {"SENT", "CANCELLED"}


async def test_a_resend_of_a_paused_message_leaves_after_the_resume(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]}, {**SLOW, "recipients": ["bob"]})
    message_id = await works.send(people("ann", "bob"))
    await works.arrived(2)
    await works.pauses.pause(pause_message(message_id))
    await eventually(lambda: works.counts(message_id), lambda counts: counts.get("FAILED") == 1)

    await works.resend(message_id)

    assert (await works.row(message_id)).status == "PAUSED"
    assert await quiet(works, message_id) == {"PENDING": 1, "SENT": 1}
    assert await works.accepted() == {"bob": 1}
    await works.pauses.resume(resume_message(message_id))
    assert (await works.done(message_id)).status == "SENT"
    assert await works.accepted() == {"ann": 1, "bob": 1}


# Rounds


async def test_a_round_that_ends_while_paused_is_followed_by_the_next_after_the_resume(
    works: Works, control: SandboxControl
) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]}, {**SLOW, "recipients": ["bob"]})
    message_id = await works.send(people("ann", "bob"), retry_policy=auto())
    await works.arrived(2)
    await works.pauses.pause(pause_message(message_id))
    await eventually(lambda: works.counts(message_id), lambda counts: counts == {"FAILED": 1, "SENT": 1})
    await works.sweeper.sweep()
    await works.done(await works.send(people("eve")))  # ends are looked at one after another

    row = await works.row(message_id)
    assert (row.status, row.completed, row.retry_count) == ("PAUSED", False, 0)

    await works.pauses.resume(resume_message(message_id))
    await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")
    assert (await works.row(message_id)).retry_count == 1


async def test_a_message_whose_last_answer_comes_while_it_is_paused_is_done(
    works: Works, control: SandboxControl
) -> None:
    """There is nothing left to hold back."""
    await control.order(SLOW)
    message_id = await works.send(people("ann"))
    await works.arrived(1)

    await works.pauses.pause(pause_message(message_id))

    assert (await works.done(message_id)).status == "SENT"


async def test_the_timer_leaves_a_paused_message_alone(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann", "bob"), retry_policy=cron())
    await works.done(message_id)

    await works.pauses.pause(pause_message(message_id))
    assert await works.timer.run_now() == []
    assert (await works.row(message_id)).status == "PAUSED"

    await works.pauses.resume(resume_message(message_id))
    assert (await works.done(message_id)).status == "PARTIALLY_SENT"
    assert [result.status for result in await works.timer.run_now()] == [TimerStatus.STARTED]
    assert (await works.done(message_id)).status == "SENT"
    assert len(await works.events(message_id, MessageCompleted)) == 3
