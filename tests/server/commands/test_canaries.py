"""Canaries: a few recipients first, the others only after success; decided once, by any process and after crashes."""

import asyncio
from typing import Any

import pytest

from domain.canary import Canary
from domain.errors import CanaryUnderWay
from domain.message_events import RetryRequested, RetryStopped
from domain.outcome import Outcome
from domain.retry import RetrySelection
from server.commands.open_rounds import OpenRoundService
from server.commands.rounds import RoundSummary
from server.eventstore.commit import EventLog
from server.queries.rounds import CanaryState, RetryFilter, RetryRound, list_retries
from tests.builders import FAILED, NOW, OWNER, SENT, UNCONFIRMED, cancel_message, crowd
from tests.server.commands.command_harness import CommandHarness
from tests.server.commands.crashing_log import CrashingLog, Killed

ALL = [who.id for who in crowd(60)]
TEN = Canary(recipients=10, max_failure_share=0.2)


@pytest.fixture
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 20)


async def canary_finished(harness: CommandHarness, outcomes: dict[str, Outcome] | None = None, **asked_for: Any) -> str:
    """Create a message that failed for all, and finish its canary of ten with these outcomes."""
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    await harness.resend(message_id, **{"canary": TEN, **asked_for})
    await harness.deliver(message_id, outcomes or {})
    return message_id


def failing(*ids: str, outcome: Outcome = FAILED) -> dict[str, Outcome]:
    return dict.fromkeys(ids, outcome)


async def decide(harness: CommandHarness, message_id: str, log: EventLog | None = None) -> None:
    await OpenRoundService(log or harness.log, lambda: NOW).finish(message_id)


async def rounds(harness: CommandHarness, message_id: str) -> list[RetryRound]:
    wanted = RetryFilter(owner=OWNER, message_id=message_id)
    return list(await list_retries(harness.log, wanted, before=2**62, limit=100))


async def states(harness: CommandHarness, message_id: str) -> list[CanaryState | None]:
    return [one.canary for one in await rounds(harness, message_id)]


async def stops(harness: CommandHarness, message_id: str) -> list[RetryStopped]:
    return [event for event in await harness.events(message_id) if isinstance(event, RetryStopped)]


async def test_a_canary_goes_to_the_first_recipients_only(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))

    dry = await harness.resend(message_id, canary=TEN, validate_only=True)
    started = await harness.resend(message_id, canary=TEN)
    await decide(harness, message_id)

    assert started == RoundSummary(recipients=10, batches=1, start_number=2, skipped={}, after_canary=50)
    assert (dry.recipients, dry.batches, dry.after_canary) == (10, 1, 50)
    assert await harness.taken(message_id) == ALL[:10]
    assert await states(harness, message_id) == [CanaryState.UNDER_WAY]


@pytest.mark.parametrize("outcomes", [{}, failing("u00001", "u00004"), failing("u00003", outcome=UNCONFIRMED)])
async def test_the_remaining_recipients_follow_a_successful_canary(
    harness: CommandHarness, outcomes: dict[str, Outcome]
) -> None:
    message_id = await canary_finished(harness, outcomes, reason="mended", messages_per_second=40.0)

    await decide(harness, message_id)

    assert await harness.taken(message_id) == ALL
    assert await states(harness, message_id) == [CanaryState.PASSED]
    assert {created.messages_per_second for created in await harness.created(message_id, round_=1)} == {40.0}
    assert [one.recipients for one in await rounds(harness, message_id)] == [60]
    assert (await harness.message(message_id)).open_round is None
    assert (await harness.row(message_id)).canary_round == 0


async def test_too_many_failures_stop_the_round_permanently(harness: CommandHarness) -> None:
    outcomes = {**failing("u00001", "u00004"), **failing("u00009", outcome=UNCONFIRMED)}
    message_id = await canary_finished(harness, outcomes)

    for _ in range(2):
        await decide(harness, message_id)

    assert await harness.taken(message_id) == ALL[:10]
    assert await stops(harness, message_id) == [
        RetryStopped(
            message_id=message_id,
            round=1,
            recipients=10,
            failed=2,
            unconfirmed=1,
            suspends_automatic_rounds=True,
            time=NOW,
        )
    ]
    assert await states(harness, message_id) == [CanaryState.STOPPED]
    assert await harness.counts(message_id) == {"SENT": 7, "FAILED": 52, "UNCONFIRMED": 1}


async def test_recipients_of_a_stopped_round_can_be_resent(harness: CommandHarness) -> None:
    """A stopped canary uses up no attempt of the recipients that did not follow."""
    message_id = await canary_finished(harness, failing(*ALL))
    await decide(harness, message_id)

    started = await harness.resend(message_id, canary=TEN)

    assert (started.recipients, started.after_canary) == (10, 50)
    assert await states(harness, message_id) == [CanaryState.UNDER_WAY, CanaryState.STOPPED]


async def test_a_canary_of_all_recipients_is_a_plain_round(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL[:10], FAILED))

    started = await harness.resend(message_id, canary=TEN)

    assert (started.recipients, started.after_canary) == (10, 0)
    assert await states(harness, message_id) == [None]
    await harness.deliver(message_id, failing(*ALL))
    await decide(harness, message_id)
    assert await stops(harness, message_id) == []


async def test_a_canary_takes_the_first_of_the_named_recipients(harness: CommandHarness) -> None:
    named = tuple(reversed(ALL[:30]))
    message_id = await canary_finished(harness, recipient_ids=named)
    first = await harness.taken(message_id)

    await decide(harness, message_id)

    assert first == list(named[:10])
    assert await harness.taken(message_id) == list(named)


async def test_the_remaining_recipients_are_those_of_the_request(harness: CommandHarness) -> None:
    """A recipient that was resent in between has changed, and is not taken again."""
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    await harness.resend(message_id, canary=TEN)
    await harness.resend(message_id, recipient_ids=tuple(ALL[30:]))
    await harness.deliver(message_id, failing(*ALL[30:]))

    await decide(harness, message_id)

    assert await harness.taken(message_id) == ALL[:30]
    assert await harness.taken(message_id, round_=2) == ALL[30:]
    assert [one.first_slice.round for one in await rounds(harness, message_id)] == [2, 1]
    assert (await harness.row(message_id)).round == (await harness.message(message_id)).round == 2


async def test_a_canary_without_remaining_recipients_is_decided(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    await harness.resend(message_id, canary=TEN)
    await harness.resend(message_id)
    await harness.deliver(message_id, {})

    await decide(harness, message_id)

    assert await states(harness, message_id) == [None, CanaryState.PASSED]
    assert (await harness.row(message_id)).canary_round == 0
    assert await harness.counts(message_id) == {"SENT": 60}


async def test_only_one_canary_is_active_at_a_time(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    await harness.resend(message_id, canary=TEN)

    with pytest.raises(CanaryUnderWay):
        await harness.resend(message_id, canary=TEN)


async def test_a_repeated_request_gets_the_first_answer_and_takes_no_further_recipient(harness: CommandHarness) -> None:
    message_id = await harness.sent(dict.fromkeys(ALL, FAILED))
    asked_for: dict[str, Any] = {"canary": TEN, "request_id": "r-1"}
    first = await harness.resend(message_id, **asked_for)

    under_way = await harness.resend(message_id, **asked_for)
    taken = await harness.taken(message_id)
    await harness.deliver(message_id, {})
    await decide(harness, message_id)

    assert (under_way, taken) == (first, ALL[:10])
    assert await harness.resend(message_id, **asked_for) == first


async def test_no_recipient_follows_after_a_cancel(harness: CommandHarness) -> None:
    message_id = await canary_finished(harness)
    await harness.cancels.cancel(cancel_message(message_id))

    await decide(harness, message_id)

    assert await harness.taken(message_id) == ALL[:10]
    assert await states(harness, message_id) == [CanaryState.STOPPED]
    assert (await harness.row(message_id)).canary_round == 0


# Concurrent processes and crashes


@pytest.mark.usefixtures("_small_slices")
async def test_concurrent_decisions_plan_the_remaining_recipients_once(harness: CommandHarness) -> None:
    message_id = await canary_finished(harness)

    await asyncio.gather(*(decide(harness, message_id) for _ in range(4)))

    assert await harness.taken(message_id) == ALL
    requested = [event for event in await harness.events(message_id) if isinstance(event, RetryRequested)]
    assert [(one.round, one.recipients) for one in requested] == [(1, 10), (1, 20), (1, 20), (1, 10)]


async def test_concurrent_decisions_stop_the_round_once(harness: CommandHarness) -> None:
    message_id = await canary_finished(harness, failing(*ALL))

    await asyncio.gather(*(decide(harness, message_id) for _ in range(4)))

    assert len(await stops(harness, message_id)) == 1


@pytest.mark.usefixtures("_small_slices")
@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_the_remaining_recipients_are_planned_once_after_a_crash_at_any_point(
    harness: CommandHarness, at: int, *, is_written: bool
) -> None:
    message_id = await canary_finished(harness)

    with pytest.raises(Killed):
        await decide(harness, message_id, CrashingLog(harness.log, at=at, is_written=is_written))
    assert (await harness.row(message_id)).canary_round == (0 if (at, is_written) == (2, True) else 1)
    await decide(harness, message_id)

    assert await harness.taken(message_id) == ALL
    assert (await harness.row(message_id)).canary_round == 0


@pytest.mark.parametrize("is_written", [False, True])
async def test_a_round_is_stopped_once_after_a_crash_at_any_point(harness: CommandHarness, *, is_written: bool) -> None:
    message_id = await canary_finished(harness, failing(*ALL))

    with pytest.raises(Killed):
        await decide(harness, message_id, CrashingLog(harness.log, at=0, is_written=is_written))
    await decide(harness, message_id)

    assert len(await stops(harness, message_id)) == 1
    assert await harness.taken(message_id) == ALL[:10]


# Listed rounds


async def test_every_round_lists_its_caller_reason_selection_and_results(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": FAILED, "cid": SENT})
    asked_for: dict[str, Any] = {"recipient_ids": ("ann",), "reason": "she called", "messages_per_second": 2.5}
    await harness.resend(message_id, **asked_for)
    await harness.deliver(message_id, failing("ann"))
    await harness.resend(message_id)

    second, first = await rounds(harness, message_id)

    assert (first.first_slice.requested_by, first.first_slice.messages_per_second) == (OWNER, 2.5)
    assert (
        harness.vault.labels.resend_reasons.open(first.first_slice.reason, first.first_slice.message_id) == "she called"
    )
    assert first.first_slice.selection == RetrySelection(recipients_named=True)
    assert {status.value: count for status, count in first.attempts.items() if count} == {"FAILED": 1}
    assert {status.value: count for status, count in second.attempts.items() if count} == {"PENDING": 2}
    assert second.first_slice.skipped == {"ALREADY_SENT": 1}
