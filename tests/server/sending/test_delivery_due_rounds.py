"""Messages with their own retry schedule: each round starts when it is due."""

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
from server.cluster.page_leases import PagePause, set_retry_after
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
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
from tests.server.sending.service_process import KEY, ServiceProcess, open_service
from tests.waiting import eventually

FAIL_ONCE = {"preset": "temporary", "times": 1}


@pytest.fixture(autouse=True)
def _frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.background.due_rounds.POLL_SECONDS", 0.05)


async def passed(time: datetime) -> None:
    async def is_over() -> bool:
        return wall_clock() > time

    await eventually(is_over)


async def after_rounds(service: ServiceProcess, message_id: str, rounds: int) -> MessageRow:
    """Return the message after its n-th automatic round."""
    return await eventually(lambda: service.row(message_id), lambda row: row.completed and row.retry_count == rounds)


@pytest.mark.parametrize("policy", [cron(3, each(1)), auto(3, each(1))])
async def test_a_round_starts_when_it_is_due_and_not_before(
    service: ServiceProcess, control: SandboxControl, policy: RetryPolicy
) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann", "bob"), retry_policy=policy)
    waiting = await service.done(message_id)
    assert (waiting.status, waiting.retry_count) == ("PARTIALLY_SENT", 0)

    row = await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")

    [requested] = await service.events(message_id, RetryRequested)
    assert waiting.next_retry_time is not None
    assert waiting.next_retry_time - (waiting.end_time or 0) == 1_000_000
    assert 0 <= micros(requested.time) - waiting.next_retry_time < 1_000_000
    assert requested.trigger is RetryTrigger(policy.type)
    assert requested.tick == from_micros(waiting.next_retry_time).isoformat()
    assert (row.retry_count, row.next_retry_time is not None) == (1, True)


async def test_the_waits_of_a_backoff_grow(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({"preset": "temporary", "recipients": ["ann"]})
    delay = ExponentialBackoff(initial=timedelta(seconds=0.2), multiplier=2.0, maximum=timedelta(seconds=0.5))
    policy = RetryPolicy(type=RetryType.AUTO, max_retry_attempts=3, delay=delay)
    message_id = await service.send(people("ann"), retry_policy=policy)

    ends = [await after_rounds(service, message_id, rounds) for rounds in range(4)]

    waits = [((row.next_retry_time or 0) - (row.end_time or 0)) / 1_000_000 for row in ends[:3]]
    assert waits == [0.2, 0.4, 0.5]
    assert ends[3].next_retry_time is None
    assert len((await service.attempts(message_id))["ann"]) == 4


async def test_the_timer_ignores_it_and_a_requested_run_takes_it(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann"), retry_policy=cron(3, each(3_600)))
    await service.done(message_id)

    assert await service.timer.run_now(own_schedules=False) == []
    assert [result.status for result in await service.timer.run_now()] == [TimerStatus.STARTED]
    assert (await service.done(message_id)).status == "SENT"


async def test_a_retry_after_postpones_a_round(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann"), retry_policy=cron(3, each(0.5)))
    await service.done(message_id)
    await service.log.write(lambda sql: set_retry_after(sql, PAGE, PagePause(seconds=1.5, reason="Retry-After: 1.5")))
    opens = wall_clock() + timedelta(seconds=1.5)

    await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")

    [requested] = await service.events(message_id, RetryRequested)
    assert requested.time >= opens - timedelta(seconds=0.1)


async def test_a_schedule_survives_a_restart(database: Path, sandbox: Sandbox) -> None:
    await sandbox.control.order({**FAIL_ONCE, "recipients": ["ann"]})
    async with open_service(database, sandbox) as service:
        await service.put_page()
        await service.start()
        message_id = await service.send(people("ann"), retry_policy=cron(3, each(1)))
        due = (await service.done(message_id)).next_retry_time

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.start()
        await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")
        [requested] = await service.events(message_id, RetryRequested)
        assert micros(requested.time) >= (due or 0)


async def test_a_paused_message_is_not_retried_when_its_time_comes(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann", "bob"]})
    paused = await service.send(people("ann"), retry_policy=cron(3, each(0.3)))
    await service.done(paused)
    await service.pauses.pause(pause_message(paused))
    other = await service.send(people("bob"), retry_policy=cron(3, each(0.3)))
    await eventually(lambda: service.row(other), lambda row: row.status == "SENT")
    assert (await service.row(paused)).retry_count == 0

    await service.pauses.resume(resume_message(paused))

    await eventually(lambda: service.row(paused), lambda row: row.status == "SENT")


async def test_a_recipient_that_became_retryable_with_a_new_token_is_retried(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """The due time has passed before that, without a retryable recipient."""
    await control.order({"preset": "revoked_token", "times": 1})
    message_id = await service.send(people("ann"), retry_policy=cron(3, each(0.2)))
    row = await service.done(message_id)
    await passed(from_micros(row.next_retry_time or 0) + timedelta(seconds=0.3))
    assert (await service.row(message_id)).retry_count == 0

    await service.put_page(access_token="another-token")

    await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")


async def test_no_round_starts_on_a_held_page_before_its_release(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann"), retry_policy=cron(3, each(0.2)))
    row = await service.done(message_id)
    holds = PageHoldService(service.log, Vault(KEY), wall_clock)
    await holds.hold(HoldPage(owner=OWNER, page_id=PAGE))
    await passed(from_micros(row.next_retry_time or 0) + timedelta(seconds=0.3))
    assert (await service.row(message_id)).retry_count == 0

    await holds.release(ReleasePage(owner=OWNER, page_id=PAGE))

    await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")


async def test_a_due_round_is_left_to_the_pages_owner_while_it_runs(
    service: ServiceProcess, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.background.due_rounds.OWNER_SECONDS", 0.2)
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann"), retry_policy=cron(3, each(0.5)))
    row = await service.done(message_id)
    await service.lease("other", is_good=True)
    await service.hand_page_to("other", 7)
    await passed(from_micros(row.next_retry_time or 0) + timedelta(seconds=0.4))
    assert (await service.row(message_id)).retry_count == 0

    await service.lease("other", is_good=False)

    await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")
