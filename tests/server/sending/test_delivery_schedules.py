"""Messages that are sent later."""

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
from tests.server.sending.works import Works, open_works
from tests.waiting import eventually

SOON = timedelta(seconds=1)
LATER = timedelta(hours=1)


async def passed(time: datetime) -> None:
    async def is_over() -> bool:
        return wall_clock() > time

    await eventually(is_over)


async def test_a_scheduled_message_leaves_at_its_time(works: Works) -> None:
    scheduled = wall_clock() + SOON
    message_id = await works.send(crowd(150), schedule_time=scheduled)

    assert (await works.done(message_id)).status == "SENT"
    first = (await works.events(message_id, BatchStarted, 1))[0].time
    assert scheduled <= first < scheduled + timedelta(seconds=2)  # a poll, and what a busy machine takes
    assert await works.accepted() == {who.id: 1 for who in crowd(150)}


async def test_others_of_the_page_do_not_wait_for_it(works: Works) -> None:
    later = await works.send(crowd(300, "a"), schedule_time=wall_clock() + LATER)
    now = await works.send(crowd(150, "b"))

    assert (await works.done(now)).status == "SENT"
    assert await works.counts(later) == {"PENDING": 300}


async def test_a_time_that_is_over_means_at_once(works: Works) -> None:
    message_id = await works.send(people("ann"), schedule_time=wall_clock() - LATER)

    assert (await works.done(message_id)).status == "SENT"


async def test_a_schedule_outlives_a_restart(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as works:
        await works.put_page()
        await works.start()
        message_id = await works.send(people("ann"), schedule_time=wall_clock() + SOON)
        later = await works.send(people("bob"), schedule_time=wall_clock() + LATER)

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.start()
        assert (await works.done(message_id)).status == "SENT"
        assert await works.counts(later) == {"PENDING": 1}
        assert await works.accepted() == {"ann": 1}


async def test_a_scheduled_message_can_be_cancelled_before_its_time(works: Works) -> None:
    message_id = await works.send(crowd(150), schedule_time=wall_clock() + LATER)

    await works.cancels.cancel(cancel_message(message_id))

    assert (await works.done(message_id)).status == "CANCELLED"
    assert await works.counts(message_id) == {"CANCELLED": 150}


async def test_a_scheduled_message_can_be_paused_before_its_time(works: Works) -> None:
    scheduled = wall_clock() + timedelta(seconds=0.3)
    message_id = await works.send(people("ann"), schedule_time=scheduled)
    await works.pauses.pause(pause_message(message_id))
    await passed(scheduled)
    other = await works.send(people("bob"))
    await works.done(other)
    assert await works.accepted() == {"bob": 1}

    await works.pauses.resume(resume_message(message_id))

    assert (await works.done(message_id)).status == "SENT"
