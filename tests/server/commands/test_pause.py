"""Pausing and resuming: repeated and concurrent calls have the effect of one."""

import asyncio

import pytest

from domain.errors import MessageIsCancelled, MessageIsDone, MessageNotFound, RequestIdReused
from domain.message_events import MessagePaused, MessageResumed
from domain.retry import RetryPolicy, RetryTrigger
from tests.builders import FAILED, SENT, auto, cancel_message, cron, crowd, each, pause_message, people, resume_message
from tests.server.commands.command_harness import CommandHarness


async def test_a_paused_message_keeps_its_deliveries_and_shows_its_status(harness: CommandHarness) -> None:
    message_id = await harness.send(crowd(250))

    row = await harness.pauses.pause(pause_message(message_id))

    assert (row.status, row.paused, row.completed) == ("PAUSED", True, False)
    assert await harness.counts(message_id) == {"PENDING": 250}
    assert {batch.status for batch in await harness.batches(message_id)} == {"PENDING"}


async def test_a_resumed_message_has_its_earlier_status(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    await harness.pauses.pause(pause_message(message_id))

    row = await harness.pauses.resume(resume_message(message_id))

    assert (row.status, row.paused) == ("PENDING", False)


async def test_the_caller_is_recorded(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))

    await harness.pauses.pause(pause_message(message_id, request_id="r-1"))
    await harness.pauses.resume(resume_message(message_id, request_id="r-2"))

    paused, resumed = (await harness.events(message_id))[-2:]
    assert isinstance(paused, MessagePaused)
    assert isinstance(resumed, MessageResumed)
    assert paused.requested_by == resumed.requested_by == "local"
    assert paused.request is not None
    assert (paused.request.method, paused.request.request_id) == ("PauseMessage", "r-1")
    assert resumed.request is not None
    assert (resumed.request.method, resumed.request.request_id) == ("ResumeMessage", "r-2")


async def test_a_second_pause_or_resume_changes_nothing(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    untouched = await harness.contents()
    await harness.pauses.resume(resume_message(message_id))
    assert await harness.contents() == untouched

    first = await harness.pauses.pause(pause_message(message_id))
    before = await harness.contents()
    assert await harness.pauses.pause(pause_message(message_id)) == first
    assert await harness.contents() == before


async def test_concurrent_pauses_are_one(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))

    rows = await asyncio.gather(*(harness.pauses.pause(pause_message(message_id)) for _ in range(4)))

    assert {row.status for row in rows} == {"PAUSED"}
    assert sum(isinstance(event, MessagePaused) for event in await harness.events(message_id)) == 1


async def test_a_message_of_another_owner_can_be_neither_paused_nor_resumed(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))

    for owner, named in (("another owner", message_id), ("local", "no such message")):
        with pytest.raises(MessageNotFound):
            await harness.pauses.pause(pause_message(named, owner=owner))
        with pytest.raises(MessageNotFound):
            await harness.pauses.resume(resume_message(named, owner=owner))


async def test_a_cancel_is_final(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    await harness.cancels.cancel(cancel_message(message_id))

    with pytest.raises(MessageIsCancelled):
        await harness.pauses.pause(pause_message(message_id))
    with pytest.raises(MessageIsCancelled):
        await harness.pauses.resume(resume_message(message_id))


async def test_a_paused_message_can_be_cancelled(harness: CommandHarness) -> None:
    message_id = await harness.send(crowd(250))
    await harness.pauses.pause(pause_message(message_id))

    row = await harness.cancels.cancel(cancel_message(message_id))

    assert row.status == "CANCELLED"
    assert await harness.counts(message_id) == {"CANCELLED": 250}
    assert {batch.status for batch in await harness.batches(message_id)} == {"CANCELLED"}


async def test_a_done_message_cannot_be_paused(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": SENT})

    with pytest.raises(MessageIsDone):
        await harness.pauses.pause(pause_message(message_id))

    assert (await harness.pauses.resume(resume_message(message_id))).status == "PARTIALLY_SENT"


@pytest.mark.parametrize("policy", [cron(), cron(delay=each(60)), auto(delay=each(60))])
async def test_a_message_that_waits_for_its_round_can_be_paused(harness: CommandHarness, policy: RetryPolicy) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": SENT}, retry_policy=policy)

    row = await harness.pauses.pause(pause_message(message_id))

    assert (row.status, row.end_time) == ("PAUSED", None)
    trigger = RetryTrigger(policy.type)
    assert await harness.rounds.start(message_id, trigger, retry_count=0) is None
    await harness.pauses.resume(resume_message(message_id))
    assert await harness.rounds.start(message_id, trigger, retry_count=0) is not None


async def test_a_resend_of_a_paused_message_is_planned(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann", "bob", "eve"))
    await harness.deliver(message_id, {"ann": FAILED})
    await harness.pauses.pause(pause_message(message_id))

    started = await harness.resend(message_id)

    assert started.recipients == 1
    assert await harness.counts(message_id) == {"PENDING": 1, "SENT": 2}
    assert (await harness.row(message_id)).status == "PAUSED"


# Repeated requests


async def test_a_repeated_pause_is_recognised_even_after_the_resume(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    await harness.pauses.pause(pause_message(message_id, request_id="r-1"))
    await harness.pauses.resume(resume_message(message_id, request_id="r-1"))
    before = await harness.contents()

    again = await harness.pauses.pause(pause_message(message_id, request_id="r-1"))

    assert again.status == "PENDING"
    assert await harness.contents() == before


async def test_the_same_request_id_for_another_message_is_refused(harness: CommandHarness) -> None:
    one, two = await harness.send(people("ann")), await harness.send(people("ann"))
    await harness.pauses.pause(pause_message(one, request_id="r-1"))

    with pytest.raises(RequestIdReused):
        await harness.pauses.pause(pause_message(two, request_id="r-1"))

    assert (await harness.row(two)).status == "PENDING"
