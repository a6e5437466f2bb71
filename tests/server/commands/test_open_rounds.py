"""Rounds answered before all slices are planned; servers plan the rest, also after a crash."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from domain.canary import Canary
from domain.event import RecordedEvent
from domain.message import awaits_automatic_round, complete
from domain.message_events import RetryRequested
from domain.retry import RetryTrigger, SkipReason
from server.commands import changed_recipients
from server.commands.open_rounds import OpenRoundService
from server.commands.resend import ResendService
from server.commands.rounds import RoundSummary
from server.eventstore.commit import EventLog
from server.eventstore.stream import recorded_at
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, auto, cancel_message, crowd, resend_message
from tests.server.commands.command_harness import CommandHarness
from tests.server.commands.crashing_log import CrashingLog, Killed

ALL = [who.id for who in crowd(250)]
STARTED = RoundSummary(recipients=250, batches=3, start_number=4, skipped={})


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use slices of 100 recipients instead of 10,000, and answer after the first."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    monkeypatch.setattr("server.commands.open_rounds.PLAN_SECONDS", 0.0)


async def finish(harness: CommandHarness, message_id: str, log: EventLog | None = None) -> None:
    await OpenRoundService(log or harness.log, lambda: NOW).finish(message_id)


async def slices(harness: CommandHarness, message_id: str) -> list[RetryRequested]:
    return [event for event in await harness.events(message_id) if isinstance(event, RetryRequested)]


async def resent(harness: CommandHarness, size: int = 250, **asked_for: Any) -> str:
    """Create a message that failed for all recipients, and resend it; return its id."""
    message_id = await harness.sent(dict.fromkeys(ALL[:size], FAILED))
    await harness.resend(message_id, **asked_for)
    return message_id


async def is_open(harness: CommandHarness, message_id: str) -> bool:
    row, message = await harness.row(message_id), await harness.message(message_id)
    assert (row.canary_round > 0) == (message.open_round is not None)
    return row.canary_round > 0


async def test_a_large_resend_is_answered_for_all_recipients_and_planned_completely(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))

    started = await harness.resend(message_id, reason="fixed", messages_per_second=40.0)
    planned = await harness.taken(message_id)
    await finish(harness, message_id)

    assert (started, planned) == (STARTED, ALL[:100])
    assert await harness.taken(message_id) == ALL
    assert not await is_open(harness, message_id)
    first, *others = await slices(harness, message_id)
    assert [one.recipients for one in (first, *others)] == [100, 100, 50]
    assert (first.goes_on, harness.vault.labels.resend_reasons.open(first.reason, first.message_id)) == (True, "fixed")
    assert {(one.round, one.trigger, one.requested_by, one.selection) for one in others} == {
        (first.round, first.trigger, first.requested_by, first.selection)
    }
    assert {created.messages_per_second for created in await harness.created(message_id, round_=1)} == {40.0}


async def test_a_round_of_one_slice_is_not_open(harness: CommandHarness) -> None:
    message_id = await resent(harness, size=90)

    [only] = await slices(harness, message_id)
    assert not only.goes_on
    assert not await is_open(harness, message_id)


async def test_a_round_that_ends_with_a_full_slice_is_ended_by_an_empty_one(harness: CommandHarness) -> None:
    message_id = await resent(harness, size=200)

    await finish(harness, message_id)

    assert [one.recipients for one in await slices(harness, message_id)] == [100, 100, 0]
    assert not await is_open(harness, message_id)


async def test_a_message_with_an_open_round_is_not_done_and_starts_no_other_round(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED), retry_policy=auto())
    await harness.resend(message_id)
    await harness.deliver(message_id, {})
    message = await harness.message(message_id)

    assert (await harness.row(message_id)).open_deliveries == 0
    assert complete(message, open_deliveries=0, now=NOW) is None
    assert not awaits_automatic_round(message)
    assert await harness.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None


async def test_a_repeated_request_gets_the_same_answer_before_and_after_the_end(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))

    answers = [await harness.resend(message_id, request_id="r-1") for _ in range(2)]
    assert await is_open(harness, message_id)
    answers += [await harness.resend(message_id, request_id="r-1") for _ in range(2)]

    assert answers == [STARTED] * 4
    assert await harness.taken(message_id) == ALL
    assert len(await slices(harness, message_id)) == 3


async def test_another_resend_skips_recipients_that_the_open_round_will_take(harness: CommandHarness) -> None:
    message_id = await resent(harness)

    second = await harness.resend(message_id)

    assert (second.recipients, second.skipped) == (0, {SkipReason.IN_PROGRESS: 250})
    assert await harness.taken(message_id) == ALL
    assert {one.round for one in await slices(harness, message_id)} == {1}


async def test_a_canary_requested_during_an_open_round_comes_after_it(harness: CommandHarness) -> None:
    message_id = await harness.sent({**dict.fromkeys(ALL[:130], FAILED), **dict.fromkeys(ALL[130:], FAILED_FOR_GOOD)})
    await harness.resend(message_id)

    permanent = await harness.resend(message_id, recipient_ids=tuple(ALL), canary=Canary(recipients=5))

    assert (permanent.recipients, permanent.after_canary) == (5, 115)
    assert await harness.taken(message_id) == ALL[:130]
    assert await harness.taken(message_id, round_=2) == ALL[130:135]


async def test_during_an_active_canary_a_round_is_planned_before_its_answer(harness: CommandHarness) -> None:
    """A message has one open round, and a canary that ends must find its remaining recipients."""
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    await harness.resend(message_id, recipient_ids=tuple(ALL[:10]), canary=Canary(recipients=5))

    started = await harness.resend(message_id)

    assert started.recipients == 245
    assert await harness.taken(message_id, round_=2) == ALL[5:]
    assert not any(one.goes_on for one in await slices(harness, message_id))
    opened = (await harness.message(message_id)).open_round
    assert opened is not None
    assert opened.round == 1


async def test_a_cancel_ends_an_open_round(harness: CommandHarness) -> None:
    message_id = await resent(harness, request_id="r-1")

    await harness.cancels.cancel(cancel_message(message_id))
    await finish(harness, message_id)
    again = await harness.resend(message_id, request_id="r-1")

    assert await harness.taken(message_id) == ALL[:100]
    assert not await is_open(harness, message_id)
    assert again == STARTED


async def test_a_recipient_that_fails_again_during_an_open_round_is_not_taken_twice(harness: CommandHarness) -> None:
    message_id = await resent(harness)

    await harness.deliver(message_id, dict.fromkeys(ALL, FAILED))
    await finish(harness, message_id)

    assert sorted(await harness.taken(message_id)) == ALL
    assert {one.round for one in await slices(harness, message_id)} == {1}


@pytest.mark.parametrize("canary", [None, Canary(recipients=100)])
async def test_changes_are_read_once_for_all_steps_of_an_open_round(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch, canary: Canary | None
) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    sequence = (await harness.row(message_id)).sequence
    await harness.resend(message_id, as_of_sequence=sequence, canary=canary)
    await harness.deliver(message_id, {})
    positions: list[int] = []

    def recorded_reads(*args: Any, **options: Any) -> Sequence[RecordedEvent]:
        found = recorded_at(*args, **options)
        positions.extend(one.position for one in found)
        return found

    monkeypatch.setattr(changed_recipients, "recorded_at", recorded_reads)
    await finish(harness, message_id)

    assert await harness.taken(message_id) == ALL
    assert positions == sorted(set(positions))
    assert positions


async def test_a_new_token_between_two_steps_leaves_no_recipient_out(harness: CommandHarness) -> None:
    message_id = await resent(harness)
    service = OpenRoundService(harness.log, lambda: NOW)
    await service.continue_round(message_id)

    await harness.replace_token()
    await service.finish(message_id)

    assert await harness.taken(message_id) == ALL


async def test_concurrent_processes_plan_an_open_round_once(harness: CommandHarness) -> None:
    message_id = await resent(harness)

    await asyncio.gather(*(finish(harness, message_id) for _ in range(3)), harness.resend(message_id))

    assert await harness.taken(message_id) == ALL
    assert [one.recipients for one in await slices(harness, message_id)] == [100, 100, 50]


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", range(3))
async def test_a_crash_during_planning_leaves_the_rest_to_others(
    harness: CommandHarness, at: int, is_written: bool
) -> None:
    """If no slice was written before the crash, the repeated request plans the round."""
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    mortal = CrashingLog(harness.log, at=at, is_written=is_written)
    asked = resend_message(message_id, request_id="r-1")

    async def run() -> None:
        await ResendService(mortal, harness.vault, lambda: NOW).resend(asked)
        await finish(harness, message_id, mortal)

    with pytest.raises(Killed):
        await run()
    await finish(harness, message_id)
    again = await harness.resend(message_id, request_id="r-1")
    await finish(harness, message_id)

    assert again == STARTED
    assert await harness.taken(message_id) == ALL
    assert not await is_open(harness, message_id)
