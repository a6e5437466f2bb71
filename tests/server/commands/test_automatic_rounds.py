"""Automatic rounds: counted, never two at once, and only while somebody can be reached."""

import asyncio

import pytest

from domain.message_events import RetryRequested
from domain.retry import OnUnconfirmed, RetryPolicy, RetryTrigger
from server.commands.rounds import RoundStarted
from tests.builders import FAILED, FAILED_FOR_GOOD, SENT, UNCONFIRMED, auto, cancel_message, cron, crowd, people
from tests.server.commands.desk import Desk

CRON = RetryTrigger.CRON


async def test_an_automatic_round_takes_who_can_be_reached_and_is_counted(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED_FOR_GOOD, "eve": SENT}, retry_policy=cron())

    started = await desk.rounds.start(message_id, CRON, retry_count=0, tick="tick-1")

    assert started is not None
    assert (started.recipients, started.batches, started.start_number) == (1, 1, 2)
    requested = (await desk.events(message_id))[-1]
    assert isinstance(requested, RetryRequested)
    assert (requested.trigger, requested.retry_count, requested.tick) == (CRON, 1, "tick-1")
    assert requested.requested_by == "redrive"
    assert (await desk.row(message_id)).retry_count == 1


async def test_a_trigger_that_saw_another_count_stops(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=cron())
    await desk.rounds.start(message_id, CRON, retry_count=0)
    await desk.deliver(message_id, {"ann": FAILED})
    before = await desk.contents()

    assert await desk.rounds.start(message_id, CRON, retry_count=0) is None
    assert await desk.contents() == before


async def test_two_triggers_at_once_start_one_round(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=cron())

    started = await asyncio.gather(*(desk.rounds.start(message_id, CRON, retry_count=0) for _ in range(5)))

    assert sum(isinstance(one, RoundStarted) for one in started) == 1
    assert (await desk.row(message_id)).retry_count == 1


async def test_an_automatic_round_and_a_resend_at_once_make_one_plan(desk: Desk) -> None:
    message_id = await desk.sent({who.id: FAILED for who in crowd(120)}, retry_policy=cron())

    await asyncio.gather(desk.rounds.start(message_id, CRON, retry_count=0), desk.resend(message_id))

    assert len(await desk.taken(message_id)) == 120
    assert (await desk.row(message_id)).batches_total == 4


async def test_rounds_end_when_they_are_used_up(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED}, retry_policy=auto(2))
    for count in range(2):
        assert await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=count) is not None
        await desk.deliver(message_id, {"ann": FAILED, "bob": FAILED})

    assert await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=2) is None


async def test_a_resend_by_hand_uses_up_attempts_but_no_round(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED}, retry_policy=cron(2))
    for _ in range(2):
        await desk.resend(message_id, recipient_ids=("ann",))
        await desk.deliver(message_id, {"ann": FAILED})

    started = await desk.rounds.start(message_id, CRON, retry_count=0)

    assert started is not None
    assert await desk.taken(message_id, round_=3) == ["bob"]


async def test_no_round_starts_while_one_is_open(desk: Desk) -> None:
    message_id = await desk.send(people("ann", "bob"), retry_policy=auto())

    assert await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None


@pytest.mark.parametrize("policy", [RetryPolicy(), auto()])
async def test_no_round_starts_for_nobody(desk: Desk, policy: RetryPolicy) -> None:
    message_id = await desk.sent({"ann": SENT, "bob": FAILED_FOR_GOOD, "eve": UNCONFIRMED}, retry_policy=policy)
    before = await desk.contents()

    assert await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None
    assert await desk.contents() == before


async def test_no_round_starts_by_itself_where_nobody_asked_for_it(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=RetryPolicy())

    assert await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None


async def test_no_round_starts_after_a_cancel(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=cron())
    await desk.cancels.cancel(cancel_message(message_id))

    assert await desk.rounds.start(message_id, CRON, retry_count=0) is None


async def test_no_round_starts_for_a_message_that_is_not_there(desk: Desk) -> None:
    assert await desk.rounds.start("no such message", CRON, retry_count=0) is None


async def test_unconfirmed_ones_are_taken_where_the_message_asked_for_it(desk: Desk) -> None:
    message_id = await desk.sent({"ann": UNCONFIRMED}, retry_policy=auto(), on_unconfirmed=OnUnconfirmed.RESEND)

    await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0)

    assert await desk.taken(message_id) == ["ann"]


async def test_an_automatic_round_of_very_many_is_counted_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    message_id = await desk.sent({who.id: FAILED for who in crowd(250)}, retry_policy=cron())

    started = await desk.rounds.start(message_id, CRON, retry_count=0)

    assert started is not None
    assert started.recipients == 250
    row = await desk.row(message_id)
    assert (row.retry_count, row.round, row.batches_total) == (1, 1, 6)
    assert len(await desk.taken(message_id)) == 250
