"""Rounds that start by themselves: right after a round, or by the timer."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from domain.message_events import RetryRequested
from domain.retry import OnUnconfirmed, RetryTrigger
from server.background.timer_report import TimerResult, TimerStatus
from server.crypto.vault import Vault
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import FAILED, auto, cancel_message, cron, crowd, people
from tests.server.sending.histories import completed, hear_late, unconfirmed
from tests.server.sending.works import KEY, Works, open_works
from tests.waiting import eventually

HICCUP = {"preset": "temporary", "times": 1}  # the platform's excuse, once for each recipient
OUTAGE = {"preset": "temporary"}


def started(results: Sequence[TimerResult]) -> list[TimerResult]:
    return [result for result in results if result.status is TimerStatus.STARTED]


# Right after a round


async def test_automatic_rounds_reach_those_whom_the_first_one_did_not(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "share": 0.3}, {"preset": "unknown_recipient", "recipients": ["nobody"]})
    message_id = await works.send([*crowd(150), *people("nobody")], retry_policy=auto())

    row = await works.done(message_id)

    assert await works.counts(message_id) == {"SENT": 150, "FAILED": 1}
    assert (row.status, row.retry_count, row.round) == ("PARTIALLY_SENT", 1, 1)
    assert set((await works.accepted()).values()) == {1}
    assert [one.error_type for one in (await works.attempts(message_id))["nobody"]] == ["INVALID_RECIPIENT"]


async def test_automatic_rounds_end_when_all_attempts_are_used_up(works: Works, control: SandboxControl) -> None:
    await control.order({**OUTAGE, "recipients": ["ann"]})
    message_id = await works.send(people("ann", "bob"), retry_policy=auto(2))

    row = await works.done(message_id)

    attempts = await works.attempts(message_id)
    assert [one.attempt_number for one in attempts["ann"]] == [1, 2, 3]
    assert [one.attempt_number for one in attempts["bob"]] == [1]
    assert (row.status, row.retry_count) == ("PARTIALLY_SENT", 2)
    assert len([arrival for arrival in await works.arrivals() if arrival.recipient == "ann"]) == 3


async def test_a_message_that_nobody_retries_by_itself_is_done_after_one_round(
    works: Works, control: SandboxControl
) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})

    row = await works.done(await works.send(people("ann", "bob")))

    assert (row.status, row.retry_count) == ("PARTIALLY_SENT", 0)


async def test_a_resend_by_hand_reaches_those_who_failed_and_nobody_else(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann", "bob"))
    await works.done(message_id)

    await works.resend(message_id)

    assert (await works.done(message_id)).status == "SENT"
    assert await works.accepted() == {"ann": 1, "bob": 1}


@pytest.mark.parametrize(("on_unconfirmed", "arrivals"), [(OnUnconfirmed.HOLD, 1), (OnUnconfirmed.RESEND, 2)])
async def test_who_may_have_been_reached_is_written_to_again_only_if_the_message_said_so(
    works: Works, control: SandboxControl, on_unconfirmed: OnUnconfirmed, arrivals: int
) -> None:
    await control.order({"preset": "network", "times": 1, "accepts": True, "recipients": ["ann"]})
    message_id = await works.send(people("ann"), retry_policy=auto(), on_unconfirmed=on_unconfirmed)

    await works.done(message_id)

    assert (await works.accepted())["ann"] == arrivals


async def test_who_turns_out_to_have_been_reached_is_dropped_from_a_resend(idle: Works) -> None:
    """Evidence comes after the resend was planned, and before it leaves (protocol rule 3)."""
    message_id = await unconfirmed(idle, "ann", "bob")
    await idle.resend(message_id, include_unconfirmed=True)
    await hear_late(idle, message_id, "ann")

    await idle.start()

    row = await idle.done(message_id)
    assert (row.status, await idle.counts(message_id)) == ("SENT", {"SENT": 2})
    assert await idle.accepted() == {"bob": 1}
    assert [one.status for one in (await idle.attempts(message_id))["ann"]] == ["SENT", "CANCELLED"]


async def test_a_message_is_not_done_while_an_attempt_is_on_its_way(works: Works, control: SandboxControl) -> None:
    """Not even when it turns out that everybody was reached before."""
    await control.order({"preset": "network", "times": 1})
    message_id = await works.send(people("ann"))
    await works.done(message_id)
    await control.order({"effect": {"kind": "delay", "seconds": 0.5}})
    await works.resend(message_id, include_unconfirmed=True)
    await works.arrived(2)

    await hear_late(works, message_id, "ann")

    row = await works.done(message_id)
    assert (row.status, row.batches_completed) == ("SENT", 2)


async def test_evidence_that_comes_late_lets_the_next_round_start(idle: Works) -> None:
    """It was not sent after all: an AUTO message that seemed to be done goes on."""
    message_id = await unconfirmed(idle, "ann", "bob", retry_policy=auto())
    await idle.start()
    assert await idle.counts(message_id) == {"UNCONFIRMED": 2}
    await idle.done(message_id)

    await hear_late(idle, message_id, "ann", FAILED)

    await eventually(lambda: idle.counts(message_id), lambda counts: counts == {"SENT": 1, "UNCONFIRMED": 1})
    assert (await idle.done(message_id)).retry_count == 1
    assert await idle.accepted() == {"ann": 1}


async def test_late_news_that_a_crash_cut_off_is_found_by_the_sweep(idle: Works) -> None:
    """Nobody heard of it when it came (found by tests/model)."""
    message_id = await unconfirmed(idle, "ann", "bob", retry_policy=auto())
    await completed(idle, message_id)
    await hear_late(idle, message_id, "ann", FAILED)

    await idle.start()

    await eventually(lambda: idle.counts(message_id), lambda counts: counts == {"SENT": 1, "UNCONFIRMED": 1})
    assert (await idle.done(message_id)).retry_count == 1


# By the timer


async def test_the_timer_takes_a_message_again_that_was_done(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann", "bob"), retry_policy=cron(), title="Spring sale")
    waiting = await works.done(message_id)

    results = await works.timer.run_now()

    assert waiting.status == "PARTIALLY_SENT"
    titles = [Vault(KEY).labels.titles.open(result.title, message_id) for result in results]
    assert [msgspec.structs.replace(result, title=title) for result, title in zip(results, titles, strict=True)] == [
        TimerResult(
            message_id=message_id,
            title="Spring sale",
            status=TimerStatus.STARTED,
            recipients=1,
            batches=1,
            retry_attempt=1,
        )
    ]
    assert (await works.done(message_id)).status == "SENT"
    assert await works.timer.run_now() == []


async def test_two_runs_at_once_plan_each_round_once(works: Works, control: SandboxControl) -> None:
    await control.order({**OUTAGE, "share": 0.5})
    ids = [await works.send(crowd(20, name), retry_policy=cron()) for name in "abc"]
    for message_id in ids:
        await works.done(message_id)

    both = await asyncio.gather(works.timer.run_now(), works.timer.run_now())

    assert sorted(result.message_id for results in both for result in started(results)) == sorted(ids)
    for message_id in ids:
        row = await works.done(message_id)
        assert (row.retry_count, len(await works.events(message_id, RetryRequested))) == (1, 1)
        assert max(len(attempts) for attempts in (await works.attempts(message_id)).values()) == 2


async def test_every_run_is_a_round_until_they_are_used_up(works: Works, control: SandboxControl) -> None:
    await control.order(OUTAGE)
    message_id = await works.send(people("ann"), retry_policy=cron(2))
    attempts = []
    for _ in range(3):
        await works.done(message_id)
        attempts += [result.retry_attempt for result in started(await works.timer.run_now())]

    assert attempts == [1, 2]
    requested = await works.events(message_id, RetryRequested)
    assert [one.trigger for one in requested] == [RetryTrigger.CRON] * 2
    assert len({one.tick for one in requested}) == 2


async def test_the_timer_leaves_alone_what_it_cannot_help(works: Works, control: SandboxControl) -> None:
    await control.order({"preset": "unknown_recipient", "recipients": ["ann"]}, {**OUTAGE, "recipients": ["bob"]})
    hopeless = await works.send(people("ann"), retry_policy=cron())
    stopped = await works.send(people("bob"), retry_policy=cron())
    by_hand = await works.send(people("bob"))
    for message_id in (hopeless, stopped, by_hand):
        await works.done(message_id)
    await works.cancels.cancel(cancel_message(stopped))

    assert await works.timer.run_now() == []


async def test_the_timer_tells_what_it_did_and_when_it_runs_next(works: Works) -> None:
    before = await works.timer.schedule()

    results = await works.timer.run_now()

    after = await works.timer.schedule()
    assert (before.last_run_time, before.interval) == (None, timedelta(minutes=15))
    assert after.last_run_time is not None
    assert after.next_run_time == after.last_run_time + timedelta(minutes=15)
    assert list(after.last_results) == list(results)


async def test_the_timer_tells_what_its_last_runs_did(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann", "bob"), retry_policy=cron())
    await works.done(message_id)

    taken = await works.timer.run_now()
    await works.done(message_id)
    await works.timer.run_now()

    last, before = await works.timer.last_runs()
    assert last.time > before.time
    assert (last.eligible, last.started, list(last.results)) == (0, 0, [])
    assert (before.eligible, before.started, before.recipients, list(before.results)) == (1, 1, 1, list(taken))


async def test_the_timer_runs_by_itself(database: Path, sandbox: Sandbox) -> None:
    await sandbox.control.order({**HICCUP, "recipients": ["ann"]})
    async with open_works(database, sandbox, timetable="0.2") as works:
        await works.put_page()
        await works.start()
        message_id = await works.send(people("ann"), retry_policy=cron())

        row = await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")

        assert row.retry_count == 1
