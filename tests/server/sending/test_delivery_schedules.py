"""Messages with a scheduled time."""

from datetime import datetime, timedelta
from pathlib import Path

from domain.batch_events import BatchStarted
from server.sandbox.runner import Sandbox
from tests.builders import (
    cancel_message,
    crowd,
    pause_message,
    people,
    resume_message,
    wall_clock,
)
from tests.server.sending.service_process import ServiceProcess, open_service
from tests.waiting import eventually

SOON = timedelta(seconds=1)
LATER = timedelta(hours=1)


async def passed(time: datetime) -> None:
    async def is_over() -> bool:
        return wall_clock() > time

    await eventually(is_over)


async def test_a_scheduled_message_leaves_at_its_time(service: ServiceProcess) -> None:
    scheduled = wall_clock() + SOON
    message_id = await service.send(crowd(150), schedule_time=scheduled)

    assert (await service.done(message_id)).status == "SENT"
    first = (await service.events(message_id, BatchStarted, 1))[0].time
    assert scheduled <= first < scheduled + timedelta(seconds=2)  # a poll interval, plus a margin for a busy machine
    assert await service.accepted() == {who.id: 1 for who in crowd(150)}


async def test_other_messages_of_the_page_do_not_wait_for_it(service: ServiceProcess) -> None:
    later = await service.send(crowd(300, "a"), schedule_time=wall_clock() + LATER)
    now = await service.send(crowd(150, "b"))

    assert (await service.done(now)).status == "SENT"
    assert await service.counts(later) == {"PENDING": 300}


async def test_a_time_in_the_past_means_immediately(service: ServiceProcess) -> None:
    message_id = await service.send(people("ann"), schedule_time=wall_clock() - LATER)

    assert (await service.done(message_id)).status == "SENT"


async def test_a_schedule_survives_a_restart(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as service:
        await service.put_page()
        await service.start()
        message_id = await service.send(people("ann"), schedule_time=wall_clock() + SOON)
        later = await service.send(people("bob"), schedule_time=wall_clock() + LATER)

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.start()
        assert (await service.done(message_id)).status == "SENT"
        assert await service.counts(later) == {"PENDING": 1}
        assert await service.accepted() == {"ann": 1}


async def test_a_scheduled_message_can_be_cancelled_before_its_time(service: ServiceProcess) -> None:
    message_id = await service.send(crowd(150), schedule_time=wall_clock() + LATER)

    await service.cancels.cancel(cancel_message(message_id))

    assert (await service.done(message_id)).status == "CANCELLED"
    assert await service.counts(message_id) == {"CANCELLED": 150}


async def test_a_scheduled_message_can_be_paused_before_its_time(service: ServiceProcess) -> None:
    scheduled = wall_clock() + timedelta(seconds=0.3)
    message_id = await service.send(people("ann"), schedule_time=scheduled)
    await service.pauses.pause(pause_message(message_id))
    await passed(scheduled)
    other = await service.send(people("bob"))
    await service.done(other)
    assert await service.accepted() == {"bob": 1}

    await service.pauses.resume(resume_message(message_id))

    assert (await service.done(message_id)).status == "SENT"
