"""Pausing during a send: nothing more leaves, and after the resume each delivery leaves once."""

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
from tests.server.sending.earlier_events import started_by
from tests.server.sending.service_process import ServiceProcess, open_service
from tests.waiting import eventually

FAIL_ONCE = {"preset": "temporary", "times": 1}
SLOW = {"effect": {"kind": "delay", "seconds": 0.5}}


async def quiet(service: ServiceProcess, message_id: str, within: float = 10.0) -> dict[str, int]:
    """Return the counts when no delivery is in flight and no worker has a batch of the message."""

    async def at_rest() -> bool:
        return "SENDING" not in await service.counts(message_id) and not await started(service, message_id)

    await eventually(at_rest, within=within)
    return await service.counts(message_id)


async def started(service: ServiceProcess, message_id: str) -> list[int]:
    return [batch.number for batch in await service.batches(message_id) if batch.status == "STARTED"]


@pytest.mark.parametrize("send_mode", SendMode)
async def test_a_pause_stops_a_send_in_progress(
    service: ServiceProcess, control: SandboxControl, send_mode: SendMode
) -> None:
    await service.put_page(access_token="", pace=100.0, send_mode=send_mode)
    await control.order({"effect": {"kind": "delay", "seconds": 0.2}})
    message_id = await service.send(crowd(350))
    await service.arrived(20)

    before = time.monotonic()
    await service.pauses.pause(pause_message(message_id))
    counts = await quiet(service, message_id)

    assert time.monotonic() - before < 1.5  # the duration of a request, plus a margin for a busy machine
    assert (await service.row(message_id)).status == "PAUSED"
    assert counts.keys() == {"SENT", "PENDING"}
    assert sum(counts.values()) == 350
    assert len(await service.accepted()) == counts["SENT"]

    await service.put_page(access_token="", pace=2_000.0)
    await service.pauses.resume(resume_message(message_id))
    assert (await service.done(message_id)).status == "SENT"
    assert await service.accepted() == {who.id: 1 for who in crowd(350)}


async def test_a_pause_does_not_wait_for_the_pace(service: ServiceProcess) -> None:
    """The next message would leave after ten seconds."""
    await service.put_page(access_token="", pace=0.1)
    message_id = await service.send(crowd(5))
    await service.arrived(1)

    await service.pauses.pause(pause_message(message_id))

    assert await quiet(service, message_id, within=5.0) == {"SENT": 1, "PENDING": 4}
    assert len(await service.events(message_id, BatchStarted, 1)) == 1
    assert len(await service.events(message_id, BatchReleased, 1)) == 1


async def test_a_paused_message_does_not_block_others(idle: ServiceProcess) -> None:
    """This holds for any number of its pending batches."""
    paused = await idle.send(crowd(2_000, "a"))
    await idle.pauses.pause(pause_message(paused))
    other = await idle.send(crowd(250, "b"))

    await idle.start()

    assert (await idle.done(other)).status == "SENT"
    assert await idle.counts(paused) == {"PENDING": 2_000}
    assert await idle.events(paused, BatchStarted, 1) == []


async def test_a_page_with_paused_messages_only_has_no_worker(service: ServiceProcess) -> None:
    message_id = await service.send(crowd(500))
    await service.pauses.pause(pause_message(message_id))
    await quiet(service, message_id)

    async def workers() -> int:
        return len(service.dispatcher._workers)

    await eventually(workers, lambda count: not count)
    await service.pauses.resume(resume_message(message_id))
    assert (await service.done(message_id)).status == "SENT"


async def test_rapid_pauses_and_resumes_lose_no_delivery_and_repeat_none(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=400.0)
    message_id = await service.send(crowd(300))
    for arrived in range(20, 260, 40):
        await service.arrived(arrived)
        await service.pauses.pause(pause_message(message_id))
        await service.pauses.resume(resume_message(message_id))

    assert (await service.done(message_id)).status == "SENT"
    assert await service.accepted() == {who.id: 1 for who in crowd(300)}


async def test_a_pause_survives_a_restart(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as service:
        await service.put_page()
        await service.start()
        message_id = await service.send(crowd(300))
        await service.pauses.pause(pause_message(message_id))
        sent = (await quiet(service, message_id)).get("SENT", 0)

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.start()
        other = await service.send(people("ann"))
        await service.done(other)
        assert (await service.row(message_id)).status == "PAUSED"
        assert len(await service.accepted()) == sent + 1

        await service.pauses.resume(resume_message(message_id))
        assert (await service.done(message_id)).status == "SENT"


async def test_deliveries_in_flight_of_a_dead_worker_become_unconfirmed_while_paused(idle: ServiceProcess) -> None:
    message_id = await idle.send(people("ann", "bob"))
    await started_by(idle, "dead", message_id, dispatched=[0])
    await idle.pauses.pause(pause_message(message_id))

    await idle.start()

    assert await quiet(idle, message_id) == {"UNCONFIRMED": 1, "PENDING": 1}
    assert [event.claim for event in await idle.events(message_id, BatchReleased, 1)] == [4]
    assert await idle.arrivals() == []
    await idle.pauses.resume(resume_message(message_id))
    await idle.done(message_id)
    assert await idle.accepted() == {"bob": 1}


async def test_process_batches_starts_nothing_of_a_paused_message(service: ServiceProcess) -> None:
    message_id = await service.send(crowd(300))
    await service.pauses.pause(pause_message(message_id))
    before = await quiet(service, message_id)

    assert await service.stuck.process("local", message_id) == (
        0,
        len([b for b in await service.batches(message_id) if b.pending]),
    )

    other = await service.send(people("ann"))
    await service.done(other)
    assert await service.counts(message_id) == before


# Other calls during a pause


async def test_a_cancel_of_a_paused_message_is_final_and_complete(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=100.0)
    message_id = await service.send(crowd(350))
    await service.arrived(10)
    await service.pauses.pause(pause_message(message_id))
    await service.cancels.cancel(cancel_message(message_id))

    row = await service.done(message_id)
    counts = await service.counts(message_id)
    assert row.status == "CANCELLED"
    assert counts.keys() == {"SENT", "CANCELLED"}
    assert len(await service.accepted()) == counts["SENT"]


async def test_a_cancel_during_a_pause_cancels_pending_deliveries(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order(SLOW)
    await service.put_page(access_token="", pace=20.0)
    message_id = await service.send(crowd(50))
    await service.arrived(3)

    await service.pauses.pause(pause_message(message_id))
    await service.cancels.cancel(cancel_message(message_id))

    assert (await service.done(message_id)).status == "CANCELLED"
    assert (await service.counts(message_id)).keys() == {"SENT", "CANCELLED"}


async def test_a_resend_of_a_paused_message_leaves_after_the_resume(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]}, {**SLOW, "recipients": ["bob"]})
    message_id = await service.send(people("ann", "bob"))
    await service.arrived(2)
    await service.pauses.pause(pause_message(message_id))
    await eventually(lambda: service.counts(message_id), lambda counts: counts.get("FAILED") == 1)

    await service.resend(message_id)

    assert (await service.row(message_id)).status == "PAUSED"
    assert await quiet(service, message_id) == {"PENDING": 1, "SENT": 1}
    assert await service.accepted() == {"bob": 1}
    await service.pauses.resume(resume_message(message_id))
    assert (await service.done(message_id)).status == "SENT"
    assert await service.accepted() == {"ann": 1, "bob": 1}


# Rounds


async def test_a_round_that_ends_while_paused_is_followed_by_the_next_after_the_resume(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]}, {**SLOW, "recipients": ["bob"]})
    message_id = await service.send(people("ann", "bob"), retry_policy=auto())
    await service.arrived(2)
    await service.pauses.pause(pause_message(message_id))
    await eventually(lambda: service.counts(message_id), lambda counts: counts == {"FAILED": 1, "SENT": 1})
    await service.reconciler.reconcile()
    await service.done(await service.send(people("eve")))  # message ends are checked one after another

    row = await service.row(message_id)
    assert (row.status, row.completed, row.retry_count) == ("PAUSED", False, 0)

    await service.pauses.resume(resume_message(message_id))
    await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")
    assert (await service.row(message_id)).retry_count == 1


async def test_a_message_whose_last_answer_comes_while_it_is_paused_is_done(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """No delivery is left to hold back."""
    await control.order(SLOW)
    message_id = await service.send(people("ann"))
    await service.arrived(1)

    await service.pauses.pause(pause_message(message_id))

    assert (await service.done(message_id)).status == "SENT"


async def test_the_timer_ignores_a_paused_message(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann", "bob"), retry_policy=cron())
    await service.done(message_id)

    await service.pauses.pause(pause_message(message_id))
    assert await service.timer.run_now() == []
    assert (await service.row(message_id)).status == "PAUSED"

    await service.pauses.resume(resume_message(message_id))
    assert (await service.done(message_id)).status == "PARTIALLY_SENT"
    assert [result.status for result in await service.timer.run_now()] == [TimerStatus.STARTED]
    assert (await service.done(message_id)).status == "SENT"
    assert len(await service.events(message_id, MessageCompleted)) == 3
