"""Automatic rounds are counted, never concurrent, and start only with a retryable recipient."""

import asyncio

import pytest

from domain.message_events import RetryRequested
from domain.retry import OnUnconfirmed, RetryPolicy, RetryTrigger
from server.commands.rounds import RoundSummary
from tests.builders import FAILED, FAILED_FOR_GOOD, SENT, UNCONFIRMED, auto, cancel_message, cron, crowd, people
from tests.server.commands.command_harness import CommandHarness

CRON = RetryTrigger.CRON


async def test_an_automatic_round_takes_retryable_recipients_and_is_counted(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED_FOR_GOOD, "eve": SENT}, retry_policy=cron())

    started = await harness.rounds.start(message_id, CRON, retry_count=0, tick="tick-1")

    assert started is not None
    assert (started.recipients, started.batches, started.start_number) == (1, 1, 2)
    requested = (await harness.events(message_id))[-1]
    assert isinstance(requested, RetryRequested)
    assert (requested.trigger, requested.retry_count, requested.tick) == (CRON, 1, "tick-1")
    assert requested.requested_by == "redrive"
    assert (await harness.row(message_id)).retry_count == 1


async def test_a_trigger_with_an_outdated_count_starts_no_round(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED}, retry_policy=cron())
    await harness.rounds.start(message_id, CRON, retry_count=0)
    await harness.deliver(message_id, {"ann": FAILED})
    before = await harness.contents()

    assert await harness.rounds.start(message_id, CRON, retry_count=0) is None
    assert await harness.contents() == before


async def test_two_concurrent_triggers_start_one_round(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED}, retry_policy=cron())

    started = await asyncio.gather(*(harness.rounds.start(message_id, CRON, retry_count=0) for _ in range(5)))

    assert sum(isinstance(one, RoundSummary) for one in started) == 1
    assert (await harness.row(message_id)).retry_count == 1


async def test_a_concurrent_automatic_round_and_resend_make_one_plan(harness: CommandHarness) -> None:
    message_id = await harness.sent({who.id: FAILED for who in crowd(120)}, retry_policy=cron())

    await asyncio.gather(harness.rounds.start(message_id, CRON, retry_count=0), harness.resend(message_id))

    assert len(await harness.taken(message_id)) == 120
    assert (await harness.row(message_id)).batches_total == 4


async def test_automatic_rounds_end_when_they_are_used_up(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED}, retry_policy=auto(2))
    for count in range(2):
        assert await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=count) is not None
        await harness.deliver(message_id, {"ann": FAILED, "bob": FAILED})

    assert await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=2) is None


async def test_a_manual_resend_uses_up_attempts_but_no_automatic_round(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED}, retry_policy=cron(2))
    for _ in range(2):
        await harness.resend(message_id, recipient_ids=("ann",))
        await harness.deliver(message_id, {"ann": FAILED})

    started = await harness.rounds.start(message_id, CRON, retry_count=0)

    assert started is not None
    assert await harness.taken(message_id, round_=3) == ["bob"]


async def test_no_automatic_round_starts_while_one_is_open(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann", "bob"), retry_policy=auto())

    assert await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None


@pytest.mark.parametrize("policy", [RetryPolicy(), auto()])
async def test_no_automatic_round_starts_without_a_retryable_recipient(
    harness: CommandHarness, policy: RetryPolicy
) -> None:
    message_id = await harness.sent({"ann": SENT, "bob": FAILED_FOR_GOOD, "eve": UNCONFIRMED}, retry_policy=policy)
    before = await harness.contents()

    assert await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None
    assert await harness.contents() == before


async def test_no_automatic_round_starts_for_a_manual_policy(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED}, retry_policy=RetryPolicy())

    assert await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None


async def test_no_automatic_round_starts_after_a_cancel(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED}, retry_policy=cron())
    await harness.cancels.cancel(cancel_message(message_id))

    assert await harness.rounds.start(message_id, CRON, retry_count=0) is None


async def test_no_automatic_round_starts_for_an_unknown_message(harness: CommandHarness) -> None:
    assert await harness.rounds.start("no such message", CRON, retry_count=0) is None


async def test_unconfirmed_recipients_are_taken_if_the_message_allows_it(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": UNCONFIRMED}, retry_policy=auto(), on_unconfirmed=OnUnconfirmed.RESEND)

    await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0)

    assert await harness.taken(message_id) == ["ann"]


async def test_a_large_automatic_round_is_counted_once(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    message_id = await harness.sent({who.id: FAILED for who in crowd(250)}, retry_policy=cron())

    started = await harness.rounds.start(message_id, CRON, retry_count=0)

    assert started is not None
    assert started.recipients == 250
    row = await harness.row(message_id)
    assert (row.retry_count, row.round, row.batches_total) == (1, 1, 6)
    assert len(await harness.taken(message_id)) == 250
