"""Concurrent and large resends: one plan, and no recipient is taken twice."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from domain.errors import MessageIsCancelled
from domain.event import Event, RecordedEvent
from domain.message_events import MessageCancelled, RetryRequested
from domain.retry import SkipReason
from server.commands import changed_recipients
from server.commands.resend import ResendService
from server.eventstore.commit import Commit, CommitResult, EventLog
from server.eventstore.stream import recorded_at
from tests.builders import FAILED, NOW, cancel_message, cron, crowd, resend_message
from tests.server.commands.command_harness import CommandHarness


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use slices of 100 recipients instead of 10,000."""
    monkeypatch.setattr("server.commands.resend_planning.PLAN_SLICE", 100)


async def all_failed(harness: CommandHarness, size: int) -> str:
    return await harness.sent({who.id: FAILED for who in crowd(size)})


async def rounds(harness: CommandHarness, message_id: str) -> list[RetryRequested]:
    return [event for event in await harness.events(message_id) if isinstance(event, RetryRequested)]


async def test_two_concurrent_resends_make_one_plan(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 120)

    answers = await asyncio.gather(*(harness.resend(message_id) for _ in range(2)))

    first, second = sorted(answers, key=lambda answer: -answer.recipients)
    assert (first.recipients, first.batches) == (120, 2)
    assert (second.recipients, second.skipped) == (0, {SkipReason.IN_PROGRESS: 120})
    assert len(await rounds(harness, message_id)) == 1
    assert len(await harness.taken(message_id)) == len(set(await harness.taken(message_id))) == 120


async def test_many_concurrent_resends_make_one_plan(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 30)

    answers = await asyncio.gather(*(harness.resend(message_id) for _ in range(10)))

    assert sorted(answer.recipients for answer in answers) == [0] * 9 + [30]
    assert Counter(await harness.taken(message_id)).total() == 30


async def test_two_concurrent_equal_requests_make_one_plan_and_get_one_answer(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 30)

    answers = await asyncio.gather(*(harness.resend(message_id, request_id="r-1") for _ in range(4)))

    assert [answer.recipients for answer in answers] == [30] * 4
    assert len(await rounds(harness, message_id)) == 1


async def test_a_concurrent_equal_request_gets_the_same_answer_after_the_plan(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other call is carried out after this one has looked for an earlier answer, and before it plans."""
    message_id = await all_failed(harness, 30)
    load = harness.log.load

    async def resend_first(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(harness.log, "load", load)
        await harness.resend(message_id, request_id="r-1")
        return await load(*args, **options)

    monkeypatch.setattr(harness.log, "load", resend_first)
    answer = await harness.resend(message_id, request_id="r-1")

    assert (answer.recipients, answer.skipped) == (30, {})


async def test_concurrent_resends_to_different_recipients_are_all_planned(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 3)

    answers = await asyncio.gather(*(harness.resend(message_id, recipient_ids=(who.id,)) for who in crowd(3)))

    assert [answer.recipients for answer in answers] == [1, 1, 1]
    assert sorted(requested.first_batch for requested in await rounds(harness, message_id)) == [2, 3, 4]


async def test_a_concurrent_cancel_and_resend_leave_nothing_open(harness: CommandHarness) -> None:
    message_id = await harness.send(crowd(250))
    await harness.deliver(message_id, {who.id: FAILED for who in crowd(250)})

    resent, cancelled = await asyncio.gather(
        harness.resend(message_id), harness.cancels.cancel(cancel_message(message_id)), return_exceptions=True
    )

    assert not isinstance(cancelled, BaseException)
    assert isinstance(resent, MessageIsCancelled) or await rounds(harness, message_id)
    assert (await harness.row(message_id)).open_deliveries == 0


# Slices


@pytest.mark.usefixtures("small_slices")
async def test_a_large_resend_is_one_round_in_slices(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 250)

    started = await harness.resend(message_id)

    requested = await rounds(harness, message_id)
    assert (started.recipients, started.batches, started.start_number) == (250, 3, 4)
    assert [(r.round, r.recipients, r.first_batch, r.batches) for r in requested] == [
        (1, 100, 4, 1),
        (1, 100, 5, 1),
        (1, 50, 6, 1),
    ]
    assert await harness.taken(message_id) == [who.id for who in crowd(250)]
    assert (await harness.row(message_id)).batches_total == 6


@pytest.mark.usefixtures("small_slices")
async def test_a_repeated_sliced_resend_is_recognised(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 250)
    first = await harness.resend(message_id, request_id="r-1")

    assert await harness.resend(message_id, request_id="r-1") == first
    assert len(await rounds(harness, message_id)) == 3


@pytest.mark.usefixtures("small_slices")
async def test_concurrent_sliced_resends_take_no_recipient_twice(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 450)

    await asyncio.gather(*(harness.resend(message_id) for _ in range(3)))

    planned = await harness.log.read(
        lambda sql: sql.rows("SELECT recipient_id, MAX(attempt_number) AS last FROM deliveries GROUP BY recipient_id")
    )
    assert [row["last"] for row in planned] == [2] * 450
    assert await harness.counts(message_id) == {"PENDING": 450}


class InterruptedLog:
    """A log that runs an action before the second slice of a resend is written."""

    def __init__(self, log: EventLog, action: Callable[[], Awaitable[object]]) -> None:
        self.load, self.read, self.listen, self.recorded_in = log.load, log.read, log.listen, log.recorded_in
        self.compute = log.compute
        self.write = log.write
        self._commit = log.commit
        self._action = action
        self._slices = 0

    async def commit(self, commit: Commit) -> CommitResult:
        self._slices += any(isinstance(event, RetryRequested) for event in commit.appends[0].events)
        if self._slices == 2:
            self._slices += 1
            await self._action()
        return await self._commit(commit)


@pytest.mark.usefixtures("small_slices")
async def test_a_recipient_that_fails_again_during_planning_is_not_taken_twice(harness: CommandHarness) -> None:
    """The first slice is sent and fails before the second one is planned."""
    message_id = await all_failed(harness, 250)

    async def fail_again() -> None:
        await harness.deliver(message_id, {who.id: FAILED for who in crowd(250)})

    resends = ResendService(InterruptedLog(harness.log, fail_again), harness.vault, lambda: NOW)
    started = await resends.resend(resend_message(message_id))

    assert started.recipients == 250
    assert sorted(await harness.taken(message_id)) == [who.id for who in crowd(250)]


class StaleLog:
    """A log that runs an action after the message was loaded for a resend's second slice."""

    def __init__(self, log: EventLog, action: Callable[[], Awaitable[object]]) -> None:
        self.commit, self.read, self.listen, self.recorded_in = log.commit, log.read, log.listen, log.recorded_in
        self.compute = log.compute
        self.write = log.write
        self._load = log.load
        self._action = action
        self._loads = 0

    async def load(self, stream: str, *, limit: int | None = None) -> Sequence[Event]:
        events = await self._load(stream, limit=limit)
        self._loads += 1
        if self._loads == 2:
            await self._action()
        return events


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("interrupted", [InterruptedLog, StaleLog])
async def test_recipients_that_change_while_a_frozen_selection_is_planned_are_left_out(
    harness: CommandHarness, interrupted: type[InterruptedLog | StaleLog]
) -> None:
    """A server of the earlier release, without open rounds, plans another round before the second slice.

    Its round takes the last recipients and fails; the first resend reads again.
    """
    message_id = await all_failed(harness, 250)
    sequence = (await harness.row(message_id)).sequence
    ids = [who.id for who in crowd(250)]

    async def fail_again() -> None:
        await harness.plan_round(message_id, ids[230:])
        await harness.deliver(message_id, dict.fromkeys(ids, FAILED))

    resends = ResendService(interrupted(harness.log, fail_again), harness.vault, lambda: NOW)
    started = await resends.resend(resend_message(message_id, as_of_sequence=sequence))

    assert started.recipients == 250, "counted by the first slice"
    assert await harness.taken(message_id) == ids[:230]


@pytest.mark.usefixtures("small_slices")
async def test_changes_are_read_once_for_all_slices(harness: CommandHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = await all_failed(harness, 450)
    sequence = (await harness.row(message_id)).sequence
    positions: list[int] = []

    def noted(*args: Any, **options: Any) -> Sequence[RecordedEvent]:
        found = recorded_at(*args, **options)
        positions.extend(one.position for one in found)
        return found

    monkeypatch.setattr(changed_recipients, "recorded_at", noted)
    await harness.resend(message_id, as_of_sequence=sequence)

    assert len(positions) == 4  # the batches of all slices except the last
    assert positions == sorted(set(positions))


@pytest.mark.usefixtures("small_slices")
async def test_nothing_is_planned_after_a_cancel_between_two_slices(harness: CommandHarness) -> None:
    message_id = await harness.sent({who.id: FAILED for who in crowd(250)}, retry_policy=cron())

    async def cancel() -> None:
        await harness.cancels.cancel(cancel_message(message_id))

    resends = ResendService(InterruptedLog(harness.log, cancel), harness.vault, lambda: NOW)
    with suppress(MessageIsCancelled):
        await resends.resend(resend_message(message_id))

    assert isinstance((await harness.events(message_id))[-1], MessageCancelled)
    assert (await harness.row(message_id)).open_deliveries == 0


@pytest.mark.usefixtures("small_slices")
async def test_a_resend_finished_by_another_is_recognised_when_repeated(harness: CommandHarness) -> None:
    message_id = await all_failed(harness, 250)
    resends = ResendService(InterruptedLog(harness.log, lambda: harness.resend(message_id)), harness.vault, lambda: NOW)
    first = await resends.resend(resend_message(message_id, request_id="r-1"))

    again = await harness.resend(message_id, request_id="r-1")

    assert again == first
