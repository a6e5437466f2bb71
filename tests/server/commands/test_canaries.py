"""Canaries: a few first, and the rest only if that goes well; decided once, whoever decides and whoever dies."""

import asyncio
from typing import Any

import pytest

from domain.canary import Canary
from domain.errors import CanaryUnderWay
from domain.message_events import RetryRequested, RetryStopped
from domain.outcome import Outcome
from domain.retry import RetrySelection
from server.commands.open_rounds import OpenRoundService
from server.commands.rounds import RoundStarted
from server.eventstore.commit import EventLog
from server.queries.rounds import CanaryState, RetryFilter, RetryRound, list_retries
from tests.builders import FAILED, NOW, OWNER, SENT, UNCONFIRMED, cancel_message, crowd
from tests.server.commands.desk import Desk
from tests.server.commands.mortal_log import Killed, MortalLog

ALL = [who.id for who in crowd(60)]
TEN = Canary(recipients=10, max_failure_share=0.2)


@pytest.fixture
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 20)


async def begun(desk: Desk, outcomes: dict[str, Outcome] | None = None, **asked_for: Any) -> str:
    """All have failed; a canary of ten is over, with these outcomes."""
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    await desk.resend(message_id, **{"canary": TEN, **asked_for})
    await desk.deliver(message_id, outcomes or {})
    return message_id


def failing(*ids: str, outcome: Outcome = FAILED) -> dict[str, Outcome]:
    return dict.fromkeys(ids, outcome)


async def settle(desk: Desk, message_id: str, log: EventLog | None = None) -> None:
    await OpenRoundService(log or desk.log, lambda: NOW).finish(message_id)


async def rounds(desk: Desk, message_id: str) -> list[RetryRound]:
    wanted = RetryFilter(owner=OWNER, message_id=message_id)
    return list(await list_retries(desk.log, wanted, before=2**62, limit=100))


async def states(desk: Desk, message_id: str) -> list[CanaryState | None]:
    return [one.canary for one in await rounds(desk, message_id)]


async def stops(desk: Desk, message_id: str) -> list[RetryStopped]:
    return [event for event in await desk.events(message_id) if isinstance(event, RetryStopped)]


async def test_a_canary_goes_to_the_first_few_alone(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))

    dry = await desk.resend(message_id, canary=TEN, validate_only=True)
    started = await desk.resend(message_id, canary=TEN)
    await settle(desk, message_id)

    assert started == RoundStarted(recipients=10, batches=1, start_number=2, skipped={}, after_canary=50)
    assert (dry.recipients, dry.batches, dry.after_canary) == (10, 1, 50)
    assert await desk.taken(message_id) == ALL[:10]
    assert await states(desk, message_id) == [CanaryState.UNDER_WAY]


@pytest.mark.parametrize("outcomes", [{}, failing("u00001", "u00004"), failing("u00003", outcome=UNCONFIRMED)])
async def test_the_rest_follows_a_canary_that_goes_well(desk: Desk, outcomes: dict[str, Outcome]) -> None:
    message_id = await begun(desk, outcomes, reason="mended", messages_per_second=40.0)

    await settle(desk, message_id)

    assert await desk.taken(message_id) == ALL
    assert await states(desk, message_id) == [CanaryState.PASSED]
    assert {created.messages_per_second for created in await desk.created(message_id, round_=1)} == {40.0}
    assert [one.recipients for one in await rounds(desk, message_id)] == [60]
    assert (await desk.message(message_id)).open_round is None
    assert (await desk.row(message_id)).canary_round == 0


async def test_too_many_failures_stop_the_round_for_good(desk: Desk) -> None:
    outcomes = {**failing("u00001", "u00004"), **failing("u00009", outcome=UNCONFIRMED)}
    message_id = await begun(desk, outcomes)

    for _ in range(2):
        await settle(desk, message_id)

    assert await desk.taken(message_id) == ALL[:10]
    assert await stops(desk, message_id) == [
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
    assert await states(desk, message_id) == [CanaryState.STOPPED]
    assert await desk.counts(message_id) == {"SENT": 7, "FAILED": 52, "UNCONFIRMED": 1}


async def test_what_a_stop_left_may_be_resent(desk: Desk) -> None:
    """Not having followed a canary costs nobody an attempt."""
    message_id = await begun(desk, failing(*ALL))
    await settle(desk, message_id)

    started = await desk.resend(message_id, canary=TEN)

    assert (started.recipients, started.after_canary) == (10, 50)
    assert await states(desk, message_id) == [CanaryState.UNDER_WAY, CanaryState.STOPPED]


async def test_a_canary_that_takes_all_there_are_is_none(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL[:10], FAILED))

    started = await desk.resend(message_id, canary=TEN)

    assert (started.recipients, started.after_canary) == (10, 0)
    assert await states(desk, message_id) == [None]
    await desk.deliver(message_id, failing(*ALL))
    await settle(desk, message_id)
    assert await stops(desk, message_id) == []


async def test_of_those_who_were_named_the_first_go_first(desk: Desk) -> None:
    named = tuple(reversed(ALL[:30]))
    message_id = await begun(desk, recipient_ids=named)
    first = await desk.taken(message_id)

    await settle(desk, message_id)

    assert first == list(named[:10])
    assert await desk.taken(message_id) == list(named)


async def test_the_rest_is_whom_the_request_meant(desk: Desk) -> None:
    """Who was resent to meanwhile has changed, and is not taken once more."""
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    await desk.resend(message_id, canary=TEN)
    await desk.resend(message_id, recipient_ids=tuple(ALL[30:]))
    await desk.deliver(message_id, failing(*ALL[30:]))

    await settle(desk, message_id)

    assert await desk.taken(message_id) == ALL[:30]
    assert await desk.taken(message_id, round_=2) == ALL[30:]
    assert [one.asked.round for one in await rounds(desk, message_id)] == [2, 1]
    assert (await desk.row(message_id)).round == (await desk.message(message_id)).round == 2


async def test_a_canary_is_settled_when_nobody_is_left_to_follow(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    await desk.resend(message_id, canary=TEN)
    await desk.resend(message_id)
    await desk.deliver(message_id, {})

    await settle(desk, message_id)

    assert await states(desk, message_id) == [None, CanaryState.PASSED]
    assert (await desk.row(message_id)).canary_round == 0
    assert await desk.counts(message_id) == {"SENT": 60}


async def test_there_is_one_canary_at_a_time(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    await desk.resend(message_id, canary=TEN)

    with pytest.raises(CanaryUnderWay):
        await desk.resend(message_id, canary=TEN)


async def test_a_repeated_request_gets_the_first_answer_and_takes_nobody_else(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    asked_for: dict[str, Any] = {"canary": TEN, "request_id": "r-1"}
    first = await desk.resend(message_id, **asked_for)

    under_way = await desk.resend(message_id, **asked_for)
    taken = await desk.taken(message_id)
    await desk.deliver(message_id, {})
    await settle(desk, message_id)

    assert (under_way, taken) == (first, ALL[:10])
    assert await desk.resend(message_id, **asked_for) == first


async def test_nobody_follows_after_a_cancel(desk: Desk) -> None:
    message_id = await begun(desk)
    await desk.cancels.cancel(cancel_message(message_id))

    await settle(desk, message_id)

    assert await desk.taken(message_id) == ALL[:10]
    assert await states(desk, message_id) == [CanaryState.STOPPED]
    assert (await desk.row(message_id)).canary_round == 0


# Whoever decides, and whoever dies


@pytest.mark.usefixtures("_small_slices")
async def test_two_who_settle_at_once_plan_the_rest_once(desk: Desk) -> None:
    message_id = await begun(desk)

    await asyncio.gather(*(settle(desk, message_id) for _ in range(4)))

    assert await desk.taken(message_id) == ALL
    requested = [event for event in await desk.events(message_id) if isinstance(event, RetryRequested)]
    assert [(one.round, one.recipients) for one in requested] == [(1, 10), (1, 20), (1, 20), (1, 10)]


async def test_two_who_settle_at_once_stop_once(desk: Desk) -> None:
    message_id = await begun(desk, failing(*ALL))

    await asyncio.gather(*(settle(desk, message_id) for _ in range(4)))

    assert len(await stops(desk, message_id)) == 1


@pytest.mark.usefixtures("_small_slices")
@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_the_rest_is_planned_once_whenever_a_process_dies(desk: Desk, at: int, *, is_written: bool) -> None:
    message_id = await begun(desk)

    with pytest.raises(Killed):
        await settle(desk, message_id, MortalLog(desk.log, at=at, is_written=is_written))
    assert (await desk.row(message_id)).canary_round == (0 if (at, is_written) == (2, True) else 1)
    await settle(desk, message_id)

    assert await desk.taken(message_id) == ALL
    assert (await desk.row(message_id)).canary_round == 0


@pytest.mark.parametrize("is_written", [False, True])
async def test_a_round_is_stopped_once_whenever_a_process_dies(desk: Desk, *, is_written: bool) -> None:
    message_id = await begun(desk, failing(*ALL))

    with pytest.raises(Killed):
        await settle(desk, message_id, MortalLog(desk.log, at=0, is_written=is_written))
    await settle(desk, message_id)

    assert len(await stops(desk, message_id)) == 1
    assert await desk.taken(message_id) == ALL[:10]


# What there is to be seen


async def test_every_round_tells_who_why_for_whom_and_what_came_of_it(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": FAILED, "cid": SENT})
    asked_for: dict[str, Any] = {"recipient_ids": ("ann",), "reason": "she called", "messages_per_second": 2.5}
    await desk.resend(message_id, **asked_for)
    await desk.deliver(message_id, failing("ann"))
    await desk.resend(message_id)

    second, first = await rounds(desk, message_id)

    assert (first.asked.requested_by, first.asked.messages_per_second) == (OWNER, 2.5)
    assert desk.vault.labels.resend_reasons.open(first.asked.reason, first.asked.message_id) == "she called"
    assert first.asked.selection == RetrySelection(recipients_named=True)
    assert {status.value: count for status, count in first.attempts.items() if count} == {"FAILED": 1}
    assert {status.value: count for status, count in second.attempts.items() if count} == {"PENDING": 2}
    assert second.asked.skipped == {"ALREADY_SENT": 1}
