"""A message that the service stopped: pending deliveries wait, and a resume continues it."""

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
from server.sending.running_batches import OPEN_BATCHES
from tests.builders import auto, cancel_message, crowd, fault, pause_message, resume_message, wall_clock
from tests.server.sending.service_process import ServiceProcess, open_service
from tests.waiting import eventually

UNPACED = 100_000.0
BAD_IMAGE = {"effect": {"kind": "error", "code": 100, "subcode": 2018008, "message": "Failed to fetch the file"}}
DEAD = {"preset": "unavailable_recipient"}


async def stopped(service: ServiceProcess, message_id: str) -> MessageStopped:
    """Return the stop of a message when none of its deliveries is in flight."""
    await eventually(
        lambda: service.row(message_id), lambda row: row.paused and not row.counts[DeliveryStatus.SENDING], within=20.0
    )
    return (await service.events(message_id, MessageStopped))[-1]


@pytest.mark.parametrize("mode", SendMode)
async def test_a_message_that_reaches_no_recipient_stops_after_its_first_hundred_attempts(
    service: ServiceProcess, control: SandboxControl, mode: SendMode
) -> None:
    await service.put_page(pace=UNPACED, send_mode=mode)
    await control.order(DEAD)

    message_id = await service.send(crowd(1_000))
    event = await stopped(service, message_id)

    assert (event.stop.cause, event.stop.failed, event.stop.attempts) == (StopCause.FAILURE_SHARE, 100, 100)
    assert await service.counts(message_id) == {"FAILED": 100, "PENDING": 900}
    assert len(await service.arrivals()) == 100


async def test_a_resumed_message_continues_and_stops_again_after_as_many_failures(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=UNPACED)
    await control.order(DEAD)
    message_id = await service.send(crowd(300))
    await stopped(service, message_id)

    await service.pauses.resume(resume_message(message_id))
    await eventually(lambda: service.counts(message_id), lambda counts: counts.get("FAILED") == 200)
    await stopped(service, message_id)
    await control.clear_faults()
    await service.pauses.resume(resume_message(message_id))
    row = await service.done(message_id)

    assert await service.counts(message_id) == {"FAILED": 200, "SENT": 100}
    assert (row.stop, row.paused) == (None, False)
    assert len(await service.events(message_id, MessageStopped)) == 2


async def test_the_share_in_the_stop_policy_stops_a_message(service: ServiceProcess, control: SandboxControl) -> None:
    await service.put_page(pace=UNPACED)
    everyone = crowd(400)
    await control.order({**DEAD, "recipients": [one.id for one in everyone[::2]]})

    message_id = await service.send(everyone, stop_policy=StopPolicy(max_failure_share=0.4, min_attempts=20))
    event = await stopped(service, message_id)

    assert event.stop.cause is StopCause.FAILURE_SHARE
    assert event.stop.attempts >= 20
    assert (await service.row(message_id)).counts[DeliveryStatus.PENDING] >= 250


async def test_ten_messages_with_one_content_stop_separately(service: ServiceProcess, control: SandboxControl) -> None:
    await service.put_page(pace=UNPACED)
    await control.order(BAD_IMAGE)

    ids = [await service.send(crowd(300, prefix=f"m{number}-")) for number in range(10)]

    for message_id in ids:
        assert (await stopped(service, message_id)).stop.cause is StopCause.CONTENT
        assert (await service.row(message_id)).counts[DeliveryStatus.FAILED] <= 125


async def test_a_message_without_pending_deliveries_is_done_instead_of_stopped(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=UNPACED)
    await control.order(DEAD)

    row = await service.done(await service.send(crowd(100)))

    assert (row.status, row.stop) == ("FAILED", None)


async def test_a_manual_resend_is_not_stopped_for_earlier_failures(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=UNPACED)
    await control.order({"preset": "temporary"})
    message_id = await service.send(crowd(100))
    await service.done(message_id)
    await control.clear_faults()

    await service.resend(message_id)

    row = await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")
    assert row.round == 1


async def test_automatic_rounds_of_a_message_that_reaches_no_recipient_stop(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """An outage does not use up the attempts of all recipients."""
    await service.put_page(pace=UNPACED)
    await control.order({"preset": "temporary"})

    message_id = await service.send(crowd(100), retry_policy=auto())
    event = await stopped(service, message_id)

    assert event.stop.attempts == 100
    assert len(await service.arrivals()) == 100


async def test_a_stopped_message_can_be_cancelled_but_not_paused_again(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=UNPACED)
    await control.order(DEAD)
    message_id = await service.send(crowd(300))
    await stopped(service, message_id)

    row = await service.pauses.pause(pause_message(message_id))
    assert row.stop is not None
    await service.cancels.cancel(cancel_message(message_id))

    row = await service.done(message_id)
    assert (row.status, row.stop) == ("CANCELLED", None)


@pytest.mark.parametrize("overtakes", ["pause", "pause and resume"])
async def test_a_persons_decision_before_the_stop_overrides_it(service: ServiceProcess, overtakes: str) -> None:
    """A resume after the failures is not followed by a stop for these failures."""
    await service.put_page(pace=1.0)
    message_id = await service.send(crowd(100))

    async def overtake(call: Any) -> Any:
        if not (await service.row(message_id)).paused and not await service.events(message_id, MessageResumed):
            await service.pauses.pause(pause_message(message_id))
        if overtakes == "pause and resume" and not await service.events(message_id, MessageResumed):
            await service.pauses.resume(resume_message(message_id))
        return await service.log.read(call)

    overtaken = cast("EventLog", SimpleNamespace(load=service.log.load, commit=service.log.commit, read=overtake))
    reason = Stop(cause=StopCause.CONTENT, fault=fault(), failed=25, attempts=25)

    assert not await StopService(overtaken, wall_clock).stop(message_id, reason)
    assert not await service.events(message_id, MessageStopped)
    assert (await service.row(message_id)).paused == (overtakes == "pause")


async def test_a_restarted_server_continues_the_count(database: Path, sandbox: Sandbox) -> None:
    """The attempts before the restart are read from the database."""
    await sandbox.control.order(DEAD)
    async with open_service(database, sandbox) as service:
        await service.put_page(pace=20.0)
        await service.start()
        message_id = await service.send(crowd(300))
        await service.arrived(30, within=20.0)
    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.put_page(pace=UNPACED)
        await service.start()
        event = await stopped(service, message_id)

        assert event.stop.attempts == 100
        assert len(await service.arrivals()) == 100


async def test_messages_that_wait_for_their_first_outcome_do_not_claim_all_batches_of_a_page(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(pace=20.0)
    await control.order({"effect": {"kind": "delay", "seconds": 1}})
    policy = StopPolicy(max_failure_share=0.5, min_attempts=1)

    ids = [await service.send(crowd(2, prefix=f"m{number:03}-"), stop_policy=policy) for number in range(200)]
    await service.arrived(10, within=20.0)
    started = [batch for message_id in ids for batch in await service.batches(message_id) if batch.status == "STARTED"]

    assert len(started) <= 2 * OPEN_BATCHES
