"""Rounds that are answered before they are all planned: the servers plan them to their end, whoever dies meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from domain.canary import Canary
from domain.message import awaits_automatic_round, complete
from domain.message_events import RetryRequested
from domain.retry import RetryTrigger, SkipReason
from projections.recorded import Recorded
from server.commands import changed_recipients
from server.commands.open_rounds import OpenRoundService
from server.commands.resend import ResendService
from server.commands.rounds import RoundStarted
from server.eventstore.commit import EventLog
from server.eventstore.stream import recorded_at
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, auto, cancel_message, crowd, resend_message
from tests.server.commands.desk import Desk
from tests.server.commands.mortal_log import Killed, MortalLog

ALL = [who.id for who in crowd(250)]
STARTED = RoundStarted(recipients=250, batches=3, start_number=4, skipped={})


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of 100 recipients in place of 10,000, and an answer after the first."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)
    monkeypatch.setattr("server.commands.resend.PLAN_SECONDS", 0.0)
    monkeypatch.setattr("server.commands.open_rounds.PLAN_SECONDS", 0.0)


async def finish(desk: Desk, message_id: str, log: EventLog | None = None) -> None:
    await OpenRoundService(log or desk.log, lambda: NOW).finish(message_id)


async def slices(desk: Desk, message_id: str) -> list[RetryRequested]:
    return [event for event in await desk.events(message_id) if isinstance(event, RetryRequested)]


async def resent(desk: Desk, size: int = 250, **asked_for: Any) -> str:
    """A message of which all failed, and whose resend is answered."""
    message_id = await desk.sent(dict.fromkeys(ALL[:size], FAILED))
    await desk.resend(message_id, **asked_for)
    return message_id


async def is_open(desk: Desk, message_id: str) -> bool:
    row, message = await desk.row(message_id), await desk.message(message_id)
    assert (row.canary_round > 0) == (message.open_round is not None)
    return row.canary_round > 0


async def test_a_resend_of_very_many_is_answered_for_all_and_planned_to_its_end(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))

    started = await desk.resend(message_id, reason="mended", messages_per_second=40.0)
    planned = await desk.taken(message_id)
    await finish(desk, message_id)

    assert (started, planned) == (STARTED, ALL[:100])
    assert await desk.taken(message_id) == ALL
    assert not await is_open(desk, message_id)
    first, *others = await slices(desk, message_id)
    assert [one.recipients for one in (first, *others)] == [100, 100, 50]
    assert (first.goes_on, desk.vault.labels.resend_reasons.open(first.reason, first.message_id)) == (True, "mended")
    assert {(one.round, one.trigger, one.requested_by, one.selection) for one in others} == {
        (first.round, first.trigger, first.requested_by, first.selection)
    }
    assert {created.messages_per_second for created in await desk.created(message_id, round_=1)} == {40.0}


async def test_what_fits_into_a_slice_is_not_open(desk: Desk) -> None:
    message_id = await resent(desk, size=90)

    [only] = await slices(desk, message_id)
    assert not only.goes_on
    assert not await is_open(desk, message_id)


async def test_a_round_that_ends_with_a_full_slice_is_ended_by_one_of_nobody(desk: Desk) -> None:
    message_id = await resent(desk, size=200)

    await finish(desk, message_id)

    assert [one.recipients for one in await slices(desk, message_id)] == [100, 100, 0]
    assert not await is_open(desk, message_id)


async def test_while_a_round_is_open_its_message_is_not_done_and_starts_no_other(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED), retry_policy=auto())
    await desk.resend(message_id)
    await desk.deliver(message_id, {})
    message = await desk.message(message_id)

    assert (await desk.row(message_id)).open_deliveries == 0
    assert complete(message, open_deliveries=0, now=NOW) is None
    assert not awaits_automatic_round(message)
    assert await desk.rounds.start(message_id, RetryTrigger.AUTO, retry_count=0) is None


async def test_the_same_request_is_answered_alike_before_the_end_and_after_it(desk: Desk) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))

    answers = [await desk.resend(message_id, request_id="r-1") for _ in range(2)]
    assert await is_open(desk, message_id)
    answers += [await desk.resend(message_id, request_id="r-1") for _ in range(2)]

    assert answers == [STARTED] * 4
    assert await desk.taken(message_id) == ALL
    assert len(await slices(desk, message_id)) == 3


async def test_another_resend_waits_for_those_whom_the_open_round_will_take(desk: Desk) -> None:
    message_id = await resent(desk)

    second = await desk.resend(message_id)

    assert (second.recipients, second.skipped) == (0, {SkipReason.IN_PROGRESS: 250})
    assert await desk.taken(message_id) == ALL
    assert {one.round for one in await slices(desk, message_id)} == {1}


async def test_a_canary_beside_an_open_round_comes_after_it(desk: Desk) -> None:
    message_id = await desk.sent({**dict.fromkeys(ALL[:130], FAILED), **dict.fromkeys(ALL[130:], FAILED_FOR_GOOD)})
    await desk.resend(message_id)

    permanent = await desk.resend(message_id, recipient_ids=tuple(ALL), canary=Canary(recipients=5))

    assert (permanent.recipients, permanent.after_canary) == (5, 115)
    assert await desk.taken(message_id) == ALL[:130]
    assert await desk.taken(message_id, round_=2) == ALL[130:135]


async def test_beside_a_canary_that_is_under_way_a_round_is_planned_before_it_is_answered(desk: Desk) -> None:
    """A message has one open round: whose canary comes to its end first, must find what it left."""
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    await desk.resend(message_id, recipient_ids=tuple(ALL[:10]), canary=Canary(recipients=5))

    started = await desk.resend(message_id)

    assert started.recipients == 245
    assert await desk.taken(message_id, round_=2) == ALL[5:]
    assert not any(one.goes_on for one in await slices(desk, message_id))
    opened = (await desk.message(message_id)).open_round
    assert opened is not None
    assert opened.round == 1


async def test_a_cancel_ends_an_open_round(desk: Desk) -> None:
    message_id = await resent(desk, request_id="r-1")

    await desk.cancels.cancel(cancel_message(message_id))
    await finish(desk, message_id)
    again = await desk.resend(message_id, request_id="r-1")

    assert await desk.taken(message_id) == ALL[:100]
    assert not await is_open(desk, message_id)
    assert again == STARTED


async def test_who_fails_again_while_the_round_is_open_is_not_taken_twice(desk: Desk) -> None:
    message_id = await resent(desk)

    await desk.deliver(message_id, dict.fromkeys(ALL, FAILED))
    await finish(desk, message_id)

    assert sorted(await desk.taken(message_id)) == ALL
    assert {one.round for one in await slices(desk, message_id)} == {1}


@pytest.mark.parametrize("canary", [None, Canary(recipients=100)])
async def test_what_has_changed_is_read_once_however_many_turns_there_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, canary: Canary | None
) -> None:
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    sequence = (await desk.row(message_id)).sequence
    await desk.resend(message_id, as_of_sequence=sequence, canary=canary)
    await desk.deliver(message_id, {})
    positions: list[int] = []

    def noted(*args: Any, **options: Any) -> Sequence[Recorded]:
        found = recorded_at(*args, **options)
        positions.extend(one.position for one in found)
        return found

    monkeypatch.setattr(changed_recipients, "recorded_at", noted)
    await finish(desk, message_id)

    assert await desk.taken(message_id) == ALL
    assert positions == sorted(set(positions))
    assert positions


async def test_another_token_between_two_turns_leaves_nobody_out(desk: Desk) -> None:
    message_id = await resent(desk)
    service = OpenRoundService(desk.log, lambda: NOW)
    await service.go_on(message_id)

    await desk.replace_token()
    await service.finish(message_id)

    assert await desk.taken(message_id) == ALL


async def test_several_at_once_plan_an_open_round_once(desk: Desk) -> None:
    message_id = await resent(desk)

    await asyncio.gather(*(finish(desk, message_id) for _ in range(3)), desk.resend(message_id))

    assert await desk.taken(message_id) == ALL
    assert [one.recipients for one in await slices(desk, message_id)] == [100, 100, 50]


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("at", range(3))
async def test_whoever_dies_planning_leaves_the_rest_to_others(desk: Desk, at: int, is_written: bool) -> None:
    """Also whoever was asked first, unless nothing of the round was written: then the same request asks again."""
    message_id = await desk.sent(dict.fromkeys(ALL, FAILED))
    mortal = MortalLog(desk.log, at=at, is_written=is_written)
    asked = resend_message(message_id, request_id="r-1")

    async def live() -> None:
        await ResendService(mortal, desk.vault, lambda: NOW).resend(asked)
        await finish(desk, message_id, mortal)

    with pytest.raises(Killed):
        await live()
    await finish(desk, message_id)
    again = await desk.resend(message_id, request_id="r-1")
    await finish(desk, message_id)

    assert again == STARTED
    assert await desk.taken(message_id) == ALL
    assert not await is_open(desk, message_id)
