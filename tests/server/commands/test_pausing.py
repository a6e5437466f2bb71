"""Pause and resume: said once, whoever says it how often."""

import asyncio

import pytest

from domain.errors import MessageIsCancelled, MessageIsDone, MessageNotFound, RequestIdReused
from domain.message_events import MessagePaused, MessageResumed
from domain.retry import RetryPolicy, RetryTrigger
from tests.builders import FAILED, SENT, auto, cancel_message, cron, crowd, each, pause_message, people, resume_message
from tests.server.commands.desk import Desk


async def test_a_paused_message_keeps_everything_and_shows_it(desk: Desk) -> None:
    message_id = await desk.send(crowd(250))

    row = await desk.pauses.pause(pause_message(message_id))

    assert (row.status, row.paused, row.completed) == ("PAUSED", True, False)
    assert await desk.counts(message_id) == {"PENDING": 250}
    assert {batch.status for batch in await desk.batches(message_id)} == {"PENDING"}


async def test_a_resumed_message_is_what_it_was(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    await desk.pauses.pause(pause_message(message_id))

    row = await desk.pauses.resume(resume_message(message_id))

    assert (row.status, row.paused) == ("PENDING", False)


async def test_it_is_written_down_who_asked(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))

    await desk.pauses.pause(pause_message(message_id, request_id="r-1"))
    await desk.pauses.resume(resume_message(message_id, request_id="r-2"))

    paused, resumed = (await desk.events(message_id))[-2:]
    assert isinstance(paused, MessagePaused)
    assert isinstance(resumed, MessageResumed)
    assert paused.requested_by == resumed.requested_by == "local"
    assert paused.request is not None
    assert (paused.request.method, paused.request.request_id) == ("PauseMessage", "r-1")
    assert resumed.request is not None
    assert (resumed.request.method, resumed.request.request_id) == ("ResumeMessage", "r-2")


async def test_saying_it_again_changes_nothing(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    untouched = await desk.contents()
    await desk.pauses.resume(resume_message(message_id))
    assert await desk.contents() == untouched

    first = await desk.pauses.pause(pause_message(message_id))
    before = await desk.contents()
    assert await desk.pauses.pause(pause_message(message_id)) == first
    assert await desk.contents() == before


async def test_pauses_at_once_are_one(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))

    rows = await asyncio.gather(*(desk.pauses.pause(pause_message(message_id)) for _ in range(4)))

    assert {row.status for row in rows} == {"PAUSED"}
    assert sum(isinstance(event, MessagePaused) for event in await desk.events(message_id)) == 1


async def test_somebody_elses_message_can_be_neither_paused_nor_resumed(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))

    for owner, named in (("somebody else", message_id), ("local", "no such message")):
        with pytest.raises(MessageNotFound):
            await desk.pauses.pause(pause_message(named, owner=owner))
        with pytest.raises(MessageNotFound):
            await desk.pauses.resume(resume_message(named, owner=owner))


async def test_a_cancel_is_final(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    await desk.cancels.cancel(cancel_message(message_id))

    with pytest.raises(MessageIsCancelled):
        await desk.pauses.pause(pause_message(message_id))
    with pytest.raises(MessageIsCancelled):
        await desk.pauses.resume(resume_message(message_id))


async def test_a_paused_message_can_be_cancelled(desk: Desk) -> None:
    message_id = await desk.send(crowd(250))
    await desk.pauses.pause(pause_message(message_id))

    row = await desk.cancels.cancel(cancel_message(message_id))

    assert row.status == "CANCELLED"
    assert await desk.counts(message_id) == {"CANCELLED": 250}
    assert {batch.status for batch in await desk.batches(message_id)} == {"CANCELLED"}


async def test_a_message_that_is_done_has_nothing_left_to_pause(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": SENT})

    with pytest.raises(MessageIsDone):
        await desk.pauses.pause(pause_message(message_id))

    assert (await desk.pauses.resume(resume_message(message_id))).status == "PARTIALLY_SENT"


@pytest.mark.parametrize("policy", [cron(), cron(delay=each(60)), auto(delay=each(60))])
async def test_a_message_that_waits_for_its_round_can_be_paused(desk: Desk, policy: RetryPolicy) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": SENT}, retry_policy=policy)

    row = await desk.pauses.pause(pause_message(message_id))

    assert (row.status, row.end_time) == ("PAUSED", None)
    trigger = RetryTrigger(policy.type)
    assert await desk.rounds.start(message_id, trigger, retry_count=0) is None
    await desk.pauses.resume(resume_message(message_id))
    assert await desk.rounds.start(message_id, trigger, retry_count=0) is not None


async def test_a_resend_of_a_paused_message_is_planned(desk: Desk) -> None:
    message_id = await desk.send(people("ann", "bob", "eve"))
    await desk.deliver(message_id, {"ann": FAILED})
    await desk.pauses.pause(pause_message(message_id))

    started = await desk.resend(message_id)

    assert started.recipients == 1
    assert await desk.counts(message_id) == {"PENDING": 1, "SENT": 2}
    assert (await desk.row(message_id)).status == "PAUSED"


# The same request again


async def test_a_repeated_pause_is_recognised_even_after_the_resume(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    await desk.pauses.pause(pause_message(message_id, request_id="r-1"))
    await desk.pauses.resume(resume_message(message_id, request_id="r-1"))
    before = await desk.contents()

    again = await desk.pauses.pause(pause_message(message_id, request_id="r-1"))

    assert again.status == "PENDING"
    assert await desk.contents() == before


async def test_the_same_request_id_for_another_message_is_refused(desk: Desk) -> None:
    one, two = await desk.send(people("ann")), await desk.send(people("ann"))
    await desk.pauses.pause(pause_message(one, request_id="r-1"))

    with pytest.raises(RequestIdReused):
        await desk.pauses.pause(pause_message(two, request_id="r-1"))

    assert (await desk.row(two)).status == "PENDING"
