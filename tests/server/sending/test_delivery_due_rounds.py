"""Messages with a retry schedule of their own: each round when it is due."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from domain.commands import HoldPage, ReleasePage
from domain.message_events import RetryRequested
from domain.retry import RetryPolicy, RetryTrigger, RetryType
from domain.retry_delay import ExponentialBackoff
from projections.message_rows import MessageRow
from projections.sql import from_micros, micros
from server.background.timer_report import TimerStatus
from server.cluster.page_leases import set_retry_after
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.eventstore.commit import Commit
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from server.sending.rate_limiter import Pause
from tests.builders import (
    OWNER,
    PAGE,
    auto,
    cron,
    each,
    pause_message,
    people,
    resume_message,
    wall_clock,
)
from tests.server.sending.works import KEY, Works, open_works
from tests.waiting import eventually

HICCUP = {"preset": "temporary", "times": 1}


@pytest.fixture(autouse=True)
def _frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.background.due_rounds.POLL_SECONDS", 0.05)


async def passed(time: datetime) -> None:
    async def is_over() -> bool:
        return wall_clock() > time

    await eventually(is_over)


async def after_rounds(works: Works, message_id: str, rounds: int) -> MessageRow:
    """The message, at the end of its n-th automatic round."""
    return await eventually(lambda: works.row(message_id), lambda row: row.completed and row.retry_count == rounds)


@pytest.mark.parametrize("policy", [cron(3, each(1)), auto(3, each(1))])
async def test_a_round_starts_when_it_is_due_and_not_before(
    works: Works, control: SandboxControl, policy: RetryPolicy
) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann", "bob"), retry_policy=policy)
    waiting = await works.done(message_id)
    assert (waiting.status, waiting.retry_count) == ("PARTIALLY_SENT", 0)

    row = await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")

    [requested] = await works.events(message_id, RetryRequested)
    assert waiting.next_retry_time is not None
    assert waiting.next_retry_time - (waiting.end_time or 0) == 1_000_000
    assert 0 <= micros(requested.time) - waiting.next_retry_time < 1_000_000
    assert requested.trigger is RetryTrigger(policy.type)
    assert requested.tick == from_micros(waiting.next_retry_time).isoformat()
    assert (row.retry_count, row.next_retry_time is not None) == (1, True)


async def test_the_waits_of_a_backoff_grow(works: Works, control: SandboxControl) -> None:
    await control.order({"preset": "temporary", "recipients": ["ann"]})
    delay = ExponentialBackoff(initial=timedelta(seconds=0.2), multiplier=2.0, maximum=timedelta(seconds=0.5))
    policy = RetryPolicy(type=RetryType.AUTO, max_retry_attempts=3, delay=delay)
    message_id = await works.send(people("ann"), retry_policy=policy)

    ends = [await after_rounds(works, message_id, rounds) for rounds in range(4)]

    waits = [((row.next_retry_time or 0) - (row.end_time or 0)) / 1_000_000 for row in ends[:3]]
    assert waits == [0.2, 0.4, 0.5]
    assert ends[3].next_retry_time is None
    assert len((await works.attempts(message_id))["ann"]) == 4


async def test_the_timetable_leaves_it_alone_and_a_run_by_hand_takes_it(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann"), retry_policy=cron(3, each(3_600)))
    await works.done(message_id)

    assert await works.timer.run_now(own_schedules=False) == []
    assert [result.status for result in await works.timer.run_now()] == [TimerStatus.STARTED]
    assert (await works.done(message_id)).status == "SENT"


async def test_a_retry_after_puts_a_round_off(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann"), retry_policy=cron(3, each(0.5)))
    await works.done(message_id)
    await works.log.commit(
        Commit([], also=lambda sql: set_retry_after(sql, PAGE, Pause(seconds=1.5, reason="Retry-After: 1.5")))
    )
    opens = wall_clock() + timedelta(seconds=1.5)

    await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")

    [requested] = await works.events(message_id, RetryRequested)
    assert requested.time >= opens - timedelta(seconds=0.1)


async def test_a_schedule_is_kept_over_a_restart(database: Path, sandbox: Sandbox) -> None:
    await sandbox.control.order({**HICCUP, "recipients": ["ann"]})
    async with open_works(database, sandbox) as works:
        await works.put_page()
        await works.start()
        message_id = await works.send(people("ann"), retry_policy=cron(3, each(1)))
        due = (await works.done(message_id)).next_retry_time

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.start()
        await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")
        [requested] = await works.events(message_id, RetryRequested)
        assert micros(requested.time) >= (due or 0)


async def test_a_paused_message_is_not_retried_when_its_time_comes(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann", "bob"]})
    paused = await works.send(people("ann"), retry_policy=cron(3, each(0.3)))
    await works.done(paused)
    await works.pauses.pause(pause_message(paused))
    other = await works.send(people("bob"), retry_policy=cron(3, each(0.3)))
    await eventually(lambda: works.row(other), lambda row: row.status == "SENT")
    assert (await works.row(paused)).retry_count == 0

    await works.pauses.resume(resume_message(paused))

    await eventually(lambda: works.row(paused), lambda row: row.status == "SENT")


async def test_who_can_be_retried_only_since_the_token_was_replaced_is_found(
    works: Works, control: SandboxControl
) -> None:
    """Its time has passed meanwhile, without anybody to retry."""
    await control.order({"preset": "revoked_token", "times": 1})
    message_id = await works.send(people("ann"), retry_policy=cron(3, each(0.2)))
    row = await works.done(message_id)
    await passed(from_micros(row.next_retry_time or 0) + timedelta(seconds=0.3))
    assert (await works.row(message_id)).retry_count == 0

    await works.put_page(access_token="another-token")

    await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")


async def test_of_a_page_on_hold_nothing_is_retried_before_its_release(works: Works, control: SandboxControl) -> None:
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann"), retry_policy=cron(3, each(0.2)))
    row = await works.done(message_id)
    holds = PageHoldService(works.log, Vault(KEY), wall_clock)
    await holds.hold(HoldPage(owner=OWNER, page_id=PAGE))
    await passed(from_micros(row.next_retry_time or 0) + timedelta(seconds=0.3))
    assert (await works.row(message_id)).retry_count == 0

    await holds.release(ReleasePage(owner=OWNER, page_id=PAGE))

    await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")


async def test_a_round_is_left_to_the_pages_owner_while_that_lives(
    works: Works, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.background.due_rounds.OWNER_SECONDS", 0.2)
    await control.order({**HICCUP, "recipients": ["ann"]})
    message_id = await works.send(people("ann"), retry_policy=cron(3, each(0.5)))
    row = await works.done(message_id)
    await works.lease("other", is_good=True)
    await works.hand_page_to("other", 7)
    await passed(from_micros(row.next_retry_time or 0) + timedelta(seconds=0.4))
    assert (await works.row(message_id)).retry_count == 0

    await works.lease("other", is_good=False)

    await eventually(lambda: works.row(message_id), lambda row: row.status == "SENT")
