"""Automatic rounds: right after a round, or by the timer."""

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
from tests.server.sending.earlier_events import complete, record_late_outcome, unconfirmed
from tests.server.sending.service_process import KEY, ServiceProcess, open_service
from tests.waiting import eventually

FAIL_ONCE = {"preset": "temporary", "times": 1}  # a temporary error, once per recipient
OUTAGE = {"preset": "temporary"}


def started(results: Sequence[TimerResult]) -> list[TimerResult]:
    return [result for result in results if result.status is TimerStatus.STARTED]


# After a round


async def test_automatic_rounds_reach_recipients_that_failed_in_the_first(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**FAIL_ONCE, "share": 0.3}, {"preset": "unknown_recipient", "recipients": ["unknown"]})
    message_id = await service.send([*crowd(150), *people("unknown")], retry_policy=auto())

    row = await service.done(message_id)

    assert await service.counts(message_id) == {"SENT": 150, "FAILED": 1}
    assert (row.status, row.retry_count, row.round) == ("PARTIALLY_SENT", 1, 1)
    assert set((await service.accepted()).values()) == {1}
    assert [one.error_type for one in (await service.attempts(message_id))["unknown"]] == ["INVALID_RECIPIENT"]


async def test_automatic_rounds_end_when_all_attempts_are_used_up(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await control.order({**OUTAGE, "recipients": ["ann"]})
    message_id = await service.send(people("ann", "bob"), retry_policy=auto(2))

    row = await service.done(message_id)

    attempts = await service.attempts(message_id)
    assert [one.attempt_number for one in attempts["ann"]] == [1, 2, 3]
    assert [one.attempt_number for one in attempts["bob"]] == [1]
    assert (row.status, row.retry_count) == ("PARTIALLY_SENT", 2)
    assert len([arrival for arrival in await service.arrivals() if arrival.recipient == "ann"]) == 3


async def test_a_manual_message_is_done_after_one_round(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})

    row = await service.done(await service.send(people("ann", "bob")))

    assert (row.status, row.retry_count) == ("PARTIALLY_SENT", 0)


async def test_a_manual_resend_reaches_only_failed_recipients(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann", "bob"))
    await service.done(message_id)

    await service.resend(message_id)

    assert (await service.done(message_id)).status == "SENT"
    assert await service.accepted() == {"ann": 1, "bob": 1}


@pytest.mark.parametrize(("on_unconfirmed", "arrivals"), [(OnUnconfirmed.HOLD, 1), (OnUnconfirmed.RESEND, 2)])
async def test_an_unconfirmed_recipient_is_resent_only_if_the_message_allows_it(
    service: ServiceProcess, control: SandboxControl, on_unconfirmed: OnUnconfirmed, arrivals: int
) -> None:
    await control.order({"preset": "network", "times": 1, "accepts": True, "recipients": ["ann"]})
    message_id = await service.send(people("ann"), retry_policy=auto(), on_unconfirmed=on_unconfirmed)

    await service.done(message_id)

    assert (await service.accepted())["ann"] == arrivals


async def test_a_recipient_found_to_be_reached_is_dropped_from_a_resend(idle: ServiceProcess) -> None:
    """The receipt arrives after the resend was planned and before it leaves (protocol rule 3)."""
    message_id = await unconfirmed(idle, "ann", "bob")
    await idle.resend(message_id, include_unconfirmed=True)
    await record_late_outcome(idle, message_id, "ann")

    await idle.start()

    row = await idle.done(message_id)
    assert (row.status, await idle.counts(message_id)) == ("SENT", {"SENT": 2})
    assert await idle.accepted() == {"bob": 1}
    assert [one.status for one in (await idle.attempts(message_id))["ann"]] == ["SENT", "CANCELLED"]


async def test_a_message_is_not_done_while_an_attempt_is_in_flight(
    service: ServiceProcess, control: SandboxControl
) -> None:
    """This holds even if all recipients turn out to have been reached before."""
    await control.order({"preset": "network", "times": 1})
    message_id = await service.send(people("ann"))
    await service.done(message_id)
    await control.order({"effect": {"kind": "delay", "seconds": 0.5}})
    await service.resend(message_id, include_unconfirmed=True)
    await service.arrived(2)

    await record_late_outcome(service, message_id, "ann")

    row = await service.done(message_id)
    assert (row.status, row.batches_completed) == ("SENT", 2)


async def test_a_late_outcome_starts_the_next_round(idle: ServiceProcess) -> None:
    """The delivery has failed after all: the complete AUTO message continues."""
    message_id = await unconfirmed(idle, "ann", "bob", retry_policy=auto())
    await idle.start()
    assert await idle.counts(message_id) == {"UNCONFIRMED": 2}
    await idle.done(message_id)

    await record_late_outcome(idle, message_id, "ann", FAILED)

    await eventually(lambda: idle.counts(message_id), lambda counts: counts == {"SENT": 1, "UNCONFIRMED": 1})
    assert (await idle.done(message_id)).retry_count == 1
    assert await idle.accepted() == {"ann": 1}


async def test_a_late_outcome_before_a_crash_is_found_by_the_reconciler(idle: ServiceProcess) -> None:
    """No process was notified when the outcome arrived (found by tests/model)."""
    message_id = await unconfirmed(idle, "ann", "bob", retry_policy=auto())
    await complete(idle, message_id)
    await record_late_outcome(idle, message_id, "ann", FAILED)

    await idle.start()

    await eventually(lambda: idle.counts(message_id), lambda counts: counts == {"SENT": 1, "UNCONFIRMED": 1})
    assert (await idle.done(message_id)).retry_count == 1


# By the timer


async def test_the_timer_takes_a_completed_message_again(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann", "bob"), retry_policy=cron(), title="Spring sale")
    waiting = await service.done(message_id)

    results = await service.timer.run_now()

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
    assert (await service.done(message_id)).status == "SENT"
    assert await service.timer.run_now() == []


async def test_two_concurrent_runs_plan_each_round_once(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({**OUTAGE, "share": 0.5})
    ids = [await service.send(crowd(20, name), retry_policy=cron()) for name in "abc"]
    for message_id in ids:
        await service.done(message_id)

    both = await asyncio.gather(service.timer.run_now(), service.timer.run_now())

    assert sorted(result.message_id for results in both for result in started(results)) == sorted(ids)
    for message_id in ids:
        row = await service.done(message_id)
        assert (row.retry_count, len(await service.events(message_id, RetryRequested))) == (1, 1)
        assert max(len(attempts) for attempts in (await service.attempts(message_id)).values()) == 2


async def test_each_run_starts_a_round_until_they_are_used_up(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order(OUTAGE)
    message_id = await service.send(people("ann"), retry_policy=cron(2))
    attempts = []
    for _ in range(3):
        await service.done(message_id)
        attempts += [result.retry_attempt for result in started(await service.timer.run_now())]

    assert attempts == [1, 2]
    requested = await service.events(message_id, RetryRequested)
    assert [one.trigger for one in requested] == [RetryTrigger.CRON] * 2
    assert len({one.tick for one in requested}) == 2


async def test_the_timer_ignores_messages_that_it_cannot_help(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({"preset": "unknown_recipient", "recipients": ["ann"]}, {**OUTAGE, "recipients": ["bob"]})
    hopeless = await service.send(people("ann"), retry_policy=cron())
    stopped = await service.send(people("bob"), retry_policy=cron())
    manual = await service.send(people("bob"))
    for message_id in (hopeless, stopped, manual):
        await service.done(message_id)
    await service.cancels.cancel(cancel_message(stopped))

    assert await service.timer.run_now() == []


async def test_the_timer_reports_its_results_and_its_next_run(service: ServiceProcess) -> None:
    before = await service.timer.schedule()

    results = await service.timer.run_now()

    after = await service.timer.schedule()
    assert (before.last_run_time, before.interval) == (None, timedelta(minutes=15))
    assert after.last_run_time is not None
    assert after.next_run_time == after.last_run_time + timedelta(minutes=15)
    assert list(after.last_results) == list(results)


async def test_the_timer_reports_its_last_runs(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order({**FAIL_ONCE, "recipients": ["ann"]})
    message_id = await service.send(people("ann", "bob"), retry_policy=cron())
    await service.done(message_id)

    taken = await service.timer.run_now()
    await service.done(message_id)
    await service.timer.run_now()

    last, before = await service.timer.last_runs()
    assert last.time > before.time
    assert (last.eligible, last.started, list(last.results)) == (0, 0, [])
    assert (before.eligible, before.started, before.recipients, list(before.results)) == (1, 1, 1, list(taken))


async def test_the_timer_runs_automatically(database: Path, sandbox: Sandbox) -> None:
    await sandbox.control.order({**FAIL_ONCE, "recipients": ["ann"]})
    async with open_service(database, sandbox, timetable="0.2") as service:
        await service.put_page()
        await service.start()
        message_id = await service.send(people("ann"), retry_policy=cron())

        row = await eventually(lambda: service.row(message_id), lambda row: row.status == "SENT")

        assert row.retry_count == 1
