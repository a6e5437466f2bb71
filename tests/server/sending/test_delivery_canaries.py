"""Canaries and capped resends through workers, the round finalizer and the reconciler to the platform."""

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
from tests.server.sending.earlier_events import append_events, batch_of
from tests.server.sending.service_process import ServiceProcess, open_service
from tests.waiting import eventually

FIVE = Canary(recipients=5, max_failure_share=0.4)
FAIL_ONCE = {"preset": "temporary", "times": 1}
OUTAGE = {"preset": "temporary"}
ALL_IDS = [who.id for who in crowd(150)]


async def all_failed(service: ServiceProcess, control: SandboxControl, size: int = 150, **fields: object) -> str:
    await control.order(FAIL_ONCE)
    message_id = await service.send(crowd(size), stop_policy=NEVER_STOPPED, **fields)
    await service.done(message_id)
    return message_id


async def test_the_remaining_recipients_follow_a_successful_canary(
    service: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await all_failed(service, control)
    await control.order({**OUTAGE, "recipients": ALL_IDS[1:3]})

    await service.resend(message_id, canary=FIVE)

    row = await service.done(message_id)
    assert await service.counts(message_id) == {"SENT": 148, "FAILED": 2}
    assert (row.status, row.round, row.batches_total) == ("PARTIALLY_SENT", 1, 5)
    assert set((await service.accepted()).values()) == {1}


async def test_a_failed_canary_stops_the_round(service: ServiceProcess, control: SandboxControl) -> None:
    message_id = await all_failed(service, control)
    await control.order({**OUTAGE, "recipients": ALL_IDS[1:4]})

    await service.resend(message_id, canary=FIVE)

    await service.done(message_id)
    (stopped,) = await service.events(message_id, RetryStopped)
    assert (stopped.round, stopped.recipients, stopped.failed, stopped.unconfirmed) == (1, 5, 3, 0)
    assert await service.counts(message_id) == {"SENT": 2, "FAILED": 148}
    assert len(await service.arrivals()) == 155


async def test_an_automatic_round_waits_until_the_canary_is_decided(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({"preset": "unknown_recipient", "times": 1})
    message_id = await service.send(crowd(20), retry_policy=auto())
    await service.done(message_id)
    await control.order({**FAIL_ONCE, "recipients": ALL_IDS[1:3]})

    await service.resend(message_id, canary=FIVE, error_types=(ErrorType.INVALID_RECIPIENT,))

    await service.done(message_id)
    assert await service.counts(message_id) == {"SENT": 20}
    happened = await service.events(message_id, MessageEvent)
    by_hand, rest, automatic = (one for one in happened if isinstance(one, RetryRequested))
    assert (by_hand.trigger, by_hand.recipients, rest.recipients) == (RetryTrigger.MANUAL, 5, 15)
    assert (automatic.trigger, automatic.recipients) == (RetryTrigger.AUTO, 2)


async def test_a_canary_can_be_paused_and_continues_after_the_resume(
    service: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await all_failed(service, control, 12)
    await service.resend(message_id, canary=FIVE, messages_per_second=10.0)
    await service.arrived(13)

    await service.pauses.pause(pause_message(message_id))
    paused = await eventually(lambda: service.row(message_id), lambda row: not row.counts[DeliveryStatus.SENDING])
    await service.pauses.resume(resume_message(message_id))

    assert (paused.status, paused.canary_round) == ("PAUSED", 1)
    assert (await service.done(message_id)).status == "SENT"
    assert set((await service.accepted()).values()) == {1}


async def test_a_cancel_ends_a_canary(service: ServiceProcess, control: SandboxControl) -> None:
    message_id = await all_failed(service, control, 20)
    await service.resend(message_id, canary=FIVE, messages_per_second=10.0)
    await service.arrived(21)

    await service.cancels.cancel(cancel_message(message_id))

    row = await service.done(message_id)
    assert (row.status, row.canary_round, row.open_deliveries) == ("CANCELLED", 0, 0)
    assert len(await service.events(message_id, RetryRequested)) == 1


async def canary_over(service: ServiceProcess, *, went_well: bool) -> str:
    """Create a finished canary whose process was killed before it decided the round."""
    message_id = await service.send(crowd(20))
    batch = await batch_of(service, message_id)
    await append_events(service, batch, *delivered(batch, dict.fromkeys(ALL_IDS, FAILED)))
    await service.resend(message_id, canary=FIVE)
    batch = await batch_of(service, message_id, 2)
    await append_events(service, batch, *delivered(batch, dict.fromkeys(ALL_IDS, SENT if went_well else FAILED)))
    return message_id


async def test_the_next_process_decides_the_canaries_of_a_killed_one(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as killed:
        await killed.put_page()
        well, badly = await canary_over(killed, went_well=True), await canary_over(killed, went_well=False)

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.start()

        assert (await service.done(well)).status == "SENT"
        assert (await service.done(badly)).status == "FAILED"
        assert len(await service.events(badly, RetryStopped)) == 1
        assert set((await service.accepted()).values()) == {1}
        assert len(await service.accepted()) == 15


async def test_a_canary_is_decided_while_other_deliveries_of_the_message_are_in_flight(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(130))
    batch = await batch_of(idle, message_id)
    await append_events(idle, batch, *delivered(batch, dict.fromkeys(ALL_IDS, FAILED)))
    await idle.resend(message_id, canary=FIVE)
    batch = await batch_of(idle, message_id, 3)
    await append_events(idle, batch, *delivered(batch, {}))
    await idle.put_page(pace=20.0)

    await idle.start()

    (_, rest) = await eventually(lambda: idle.events(message_id, RetryRequested), lambda found: len(found) == 2)
    assert (rest.recipients, (await idle.row(message_id)).is_open) == (95, True)


# Caps


async def test_a_capped_resend_is_limited_and_slows_no_other_message(
    service: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await all_failed(service, control, 20)
    await control.order()
    began = time.monotonic()
    await service.resend(message_id, messages_per_second=12.0)
    await service.arrived(21)

    other = await service.send(people(*(f"other{number}" for number in range(300))), stop_policy=NEVER_STOPPED)
    await service.done(other)
    left = (await service.row(message_id)).open_deliveries
    await service.done(message_id)

    assert left > 0
    assert time.monotonic() - began > 1.3  # 3 leave at once, and 3 more each quarter of a second


async def test_a_cap_survives_a_restart(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as first:
        await first.put_page()
        message_id = await first.send(crowd(20))
        batch = await batch_of(first, message_id)
        await append_events(first, batch, *delivered(batch, dict.fromkeys(ALL_IDS, FAILED)))
        await first.resend(message_id, messages_per_second=20.0)

    async with open_service(database, sandbox, worker="worker-2") as service:
        began = time.monotonic()
        await service.start()
        await service.done(message_id)

        assert time.monotonic() - began > 0.7


async def test_the_batches_of_a_capped_round_share_its_cap(service: ServiceProcess, control: SandboxControl) -> None:
    message_id = await all_failed(service, control, 250)
    began = time.monotonic()

    await service.resend(message_id, messages_per_second=250.0)

    await service.done(message_id)
    assert time.monotonic() - began > 0.7
    assert set((await service.accepted()).values()) == {1}


async def test_a_drain_releases_unsent_deliveries_of_a_capped_round(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as service:
        await service.put_page()
        await service.start()
        message_id = await all_failed(service, sandbox.control, 20)
        await service.resend(message_id, messages_per_second=1.0)
        await service.arrived(21)

        await asyncio.wait_for(service.drain(), 3)

        (_, capped) = await service.batches(message_id)
        assert (capped.status, capped.sending, capped.pending) == ("PENDING", 0, 19)
