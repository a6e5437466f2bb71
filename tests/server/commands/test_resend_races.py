"""Resends at the same moment, and resends of very many: one plan, nobody twice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from domain.errors import MessageIsCancelled
from domain.event import Event
from domain.message_events import MessageCancelled, RetryRequested
from domain.retry import SkipReason
from projections.recorded import Recorded
from server.commands import changed_recipients
from server.commands.resend import ResendService
from server.eventstore.commit import Commit, CommitResult, EventLog
from server.eventstore.stream import recorded_at
from tests.builders import FAILED, NOW, cancel_message, cron, crowd, resend_message
from tests.server.commands.desk import Desk


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of 100 recipients in place of 10,000."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)


async def all_failed(desk: Desk, size: int) -> str:
    return await desk.sent({who.id: FAILED for who in crowd(size)})


async def rounds(desk: Desk, message_id: str) -> list[RetryRequested]:
    return [event for event in await desk.events(message_id) if isinstance(event, RetryRequested)]


async def test_two_resends_at_once_make_one_plan(desk: Desk) -> None:
    message_id = await all_failed(desk, 120)

    answers = await asyncio.gather(*(desk.resend(message_id) for _ in range(2)))

    first, second = sorted(answers, key=lambda answer: -answer.recipients)
    assert (first.recipients, first.batches) == (120, 2)
    assert (second.recipients, second.skipped) == (0, {SkipReason.IN_PROGRESS: 120})
    assert len(await rounds(desk, message_id)) == 1
    assert len(await desk.taken(message_id)) == len(set(await desk.taken(message_id))) == 120


async def test_many_resends_at_once_make_one_plan(desk: Desk) -> None:
    message_id = await all_failed(desk, 30)

    answers = await asyncio.gather(*(desk.resend(message_id) for _ in range(10)))

    assert sorted(answer.recipients for answer in answers) == [0] * 9 + [30]
    assert Counter(await desk.taken(message_id)).total() == 30


async def test_the_same_request_twice_at_once_makes_one_plan_and_gets_one_answer(desk: Desk) -> None:
    message_id = await all_failed(desk, 30)

    answers = await asyncio.gather(*(desk.resend(message_id, request_id="r-1") for _ in range(4)))

    assert [answer.recipients for answer in answers] == [30] * 4
    assert len(await rounds(desk, message_id)) == 1


async def test_the_same_request_gets_one_answer_also_when_it_finds_all_taken_already(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other call is carried out after this one has asked whether it was, and before it plans."""
    message_id = await all_failed(desk, 30)
    load = desk.log.load

    async def resend_first(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(desk.log, "load", load)
        await desk.resend(message_id, request_id="r-1")
        return await load(*args, **options)

    monkeypatch.setattr(desk.log, "load", resend_first)
    answer = await desk.resend(message_id, request_id="r-1")

    assert (answer.recipients, answer.skipped) == (30, {})


async def test_resends_to_different_people_at_once_are_all_planned(desk: Desk) -> None:
    message_id = await all_failed(desk, 3)

    answers = await asyncio.gather(*(desk.resend(message_id, recipient_ids=(who.id,)) for who in crowd(3)))

    assert [answer.recipients for answer in answers] == [1, 1, 1]
    assert sorted(requested.first_batch for requested in await rounds(desk, message_id)) == [2, 3, 4]


async def test_a_cancel_and_a_resend_at_once_leave_nothing_open(desk: Desk) -> None:
    message_id = await desk.send(crowd(250))
    await desk.deliver(message_id, {who.id: FAILED for who in crowd(250)})

    resent, cancelled = await asyncio.gather(
        desk.resend(message_id), desk.cancels.cancel(cancel_message(message_id)), return_exceptions=True
    )

    assert not isinstance(cancelled, BaseException)
    assert isinstance(resent, MessageIsCancelled) or await rounds(desk, message_id)
    assert (await desk.row(message_id)).open_deliveries == 0


# Slices


@pytest.mark.usefixtures("small_slices")
async def test_a_resend_of_very_many_is_one_round_in_slices(desk: Desk) -> None:
    message_id = await all_failed(desk, 250)

    started = await desk.resend(message_id)

    requested = await rounds(desk, message_id)
    assert (started.recipients, started.batches, started.start_number) == (250, 3, 4)
    assert [(r.round, r.recipients, r.first_batch, r.batches) for r in requested] == [
        (1, 100, 4, 1),
        (1, 100, 5, 1),
        (1, 50, 6, 1),
    ]
    assert await desk.taken(message_id) == [who.id for who in crowd(250)]
    assert (await desk.row(message_id)).batches_total == 6


@pytest.mark.usefixtures("small_slices")
async def test_a_sliced_resend_is_recognised_when_it_is_repeated(desk: Desk) -> None:
    message_id = await all_failed(desk, 250)
    first = await desk.resend(message_id, request_id="r-1")

    assert await desk.resend(message_id, request_id="r-1") == first
    assert len(await rounds(desk, message_id)) == 3


@pytest.mark.usefixtures("small_slices")
async def test_sliced_resends_at_once_take_nobody_twice(desk: Desk) -> None:
    message_id = await all_failed(desk, 450)

    await asyncio.gather(*(desk.resend(message_id) for _ in range(3)))

    planned = await desk.log.read(
        lambda sql: sql.rows("SELECT recipient_id, MAX(attempt_number) AS last FROM deliveries GROUP BY recipient_id")
    )
    assert [row["last"] for row in planned] == [2] * 450
    assert await desk.counts(message_id) == {"PENDING": 450}


class InterruptedLog:
    """A log that lets something else happen before the second slice of a resend is written."""

    def __init__(self, log: EventLog, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self.load, self.read, self.listen, self.recorded_in = log.load, log.read, log.listen, log.recorded_in
        self.compute = log.compute
        self._commit = log.commit
        self._meanwhile = meanwhile
        self._slices = 0

    async def commit(self, commit: Commit) -> CommitResult:
        self._slices += any(isinstance(event, RetryRequested) for event in commit.appends[0].events)
        if self._slices == 2:
            self._slices += 1
            await self._meanwhile()
        return await self._commit(commit)


@pytest.mark.usefixtures("small_slices")
async def test_who_fails_again_while_a_round_is_planned_is_not_taken_twice(desk: Desk) -> None:
    """The first slice is sent, and fails, before the second one is planned."""
    message_id = await all_failed(desk, 250)

    async def fail_again() -> None:
        await desk.deliver(message_id, {who.id: FAILED for who in crowd(250)})

    resends = ResendService(InterruptedLog(desk.log, fail_again), desk.vault, lambda: NOW)
    started = await resends.resend(resend_message(message_id))

    assert started.recipients == 250
    assert sorted(await desk.taken(message_id)) == [who.id for who in crowd(250)]


class StaleLog:
    """A log that lets something else happen once the message was loaded for a resend's second slice."""

    def __init__(self, log: EventLog, meanwhile: Callable[[], Awaitable[object]]) -> None:
        self.commit, self.read, self.listen, self.recorded_in = log.commit, log.read, log.listen, log.recorded_in
        self.compute = log.compute
        self._load = log.load
        self._meanwhile = meanwhile
        self._loads = 0

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        events = await self._load(stream, limit=limit)
        self._loads += 1
        if self._loads == 2:
            await self._meanwhile()
        return events


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("interrupted", [InterruptedLog, StaleLog])
async def test_who_changes_while_a_frozen_set_is_planned_is_left_out(
    desk: Desk, interrupted: type[InterruptedLog | StaleLog]
) -> None:
    """A server of the release before, which knows of no open rounds, plans another one before the second slice.

    It takes the last ones, and fails: the first one looks again.
    """
    message_id = await all_failed(desk, 250)
    sequence = (await desk.row(message_id)).sequence
    ids = [who.id for who in crowd(250)]

    async def fail_again() -> None:
        await desk.plan_round(message_id, ids[230:])
        await desk.deliver(message_id, dict.fromkeys(ids, FAILED))

    resends = ResendService(interrupted(desk.log, fail_again), desk.vault, lambda: NOW)
    started = await resends.resend(resend_message(message_id, as_of_sequence=sequence))

    assert started.recipients == 250, "as the first slice found them"
    assert await desk.taken(message_id) == ids[:230]


@pytest.mark.usefixtures("small_slices")
async def test_what_has_changed_is_read_once_however_many_slices_there_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = await all_failed(desk, 450)
    sequence = (await desk.row(message_id)).sequence
    positions: list[int] = []

    def noted(*args: Any, **options: Any) -> Sequence[Recorded]:
        found = recorded_at(*args, **options)
        positions.extend(one.position for one in found)
        return found

    monkeypatch.setattr(changed_recipients, "recorded_at", noted)
    await desk.resend(message_id, as_of_sequence=sequence)

    assert len(positions) == 4  # the batches of all slices but the last
    assert positions == sorted(set(positions))


@pytest.mark.usefixtures("small_slices")
async def test_nothing_is_planned_after_a_cancel_between_two_slices(desk: Desk) -> None:
    message_id = await desk.sent({who.id: FAILED for who in crowd(250)}, retry_policy=cron())

    async def cancel() -> None:
        await desk.cancels.cancel(cancel_message(message_id))

    resends = ResendService(InterruptedLog(desk.log, cancel), desk.vault, lambda: NOW)
    with suppress(MessageIsCancelled):
        await resends.resend(resend_message(message_id))

    assert isinstance((await desk.events(message_id))[-1], MessageCancelled)
    assert (await desk.row(message_id)).open_deliveries == 0


@pytest.mark.usefixtures("small_slices")
async def test_a_resend_that_another_one_finished_is_still_recognised_when_it_is_repeated(desk: Desk) -> None:
    message_id = await all_failed(desk, 250)
    resends = ResendService(InterruptedLog(desk.log, lambda: desk.resend(message_id)), desk.vault, lambda: NOW)
    first = await resends.resend(resend_message(message_id, request_id="r-1"))

    again = await desk.resend(message_id, request_id="r-1")

    assert again == first
