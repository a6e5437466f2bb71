"""A stopped canary suspends the automatic rounds of its message until a person resumes or resends it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from domain.canary import Canary
from domain.commands import HoldPage, ReleasePage
from domain.errors import MessageIsDone
from domain.message_events import MessageResumed, RetryRequested, RetryStopped
from domain.retry import RetryPolicy, RetryTrigger
from projections.message_rows import MessageRow
from server.background.timer_report import TimerStatus
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.eventstore.rebuild import rebuild
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import (
    OWNER,
    PAGE,
    auto,
    cancel_message,
    cron,
    each,
    pause_message,
    resume_message,
    wall_clock,
)
from tests.server.sending.service_process import KEY, ServiceProcess, open_service
from tests.server.sending.test_confirmed_recipients import FIFTY, failed_before, resent, rounds, run_all_triggers
from tests.waiting import eventually

ONE = Canary(recipients=1)
POLICIES = {
    "AUTO": auto(),
    "AUTO, scheduled": auto(3, each(0.3)),
    "CRON": cron(),
    "CRON, scheduled": cron(3, each(0.3)),
}
every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


@pytest.fixture(autouse=True)
def _frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.background.due_rounds.POLL_SECONDS", 0.05)


async def stopped(service: ServiceProcess, control: SandboxControl, policy: RetryPolicy) -> str:
    """Create a completed message to 50 recipients whose canary of one failed; end the outage, return the message id."""
    message_id = await failed_before(service, policy)
    await control.order({"preset": "temporary", "recipients": [FIFTY[0]], "times": 1})
    await service.resend(message_id, canary=ONE)
    await service.start()
    await eventually(lambda: service.events(message_id, RetryStopped), lambda found: len(found) == 1)
    await service.done(message_id)
    return message_id


def facts(row: MessageRow) -> Sequence[object]:
    return row.status, row.automatic_rounds_suspended, row.next_retry_time, row.retry_count


@every_policy
async def test_no_automatic_round_follows_a_stopped_canary(
    idle: ServiceProcess, control: SandboxControl, policy: RetryPolicy
) -> None:
    message_id = await stopped(idle, control, policy)

    await run_all_triggers(idle, message_id)
    results = await idle.timer.run_now()

    assert facts(await idle.row(message_id)) == ("FAILED", True, None, 0)
    assert results == []
    assert await resent(idle, message_id) == {FIFTY[0]}


@every_policy
async def test_a_resume_restarts_automatic_rounds(
    idle: ServiceProcess, control: SandboxControl, policy: RetryPolicy
) -> None:
    message_id = await stopped(idle, control, policy)

    await idle.pauses.resume(resume_message(message_id))
    if policy == cron():
        assert [one.status for one in await idle.timer.run_now()] == [TimerStatus.STARTED]

    row = await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert (row.retry_count, row.automatic_rounds_suspended) == (1, False)
    assert len(await idle.events(message_id, MessageResumed)) == 1


async def test_a_resume_while_the_page_is_on_hold_takes_effect_after_its_release(
    idle: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await stopped(idle, control, auto())
    holds = PageHoldService(idle.log, Vault(KEY), wall_clock)
    await holds.hold(HoldPage(owner=OWNER, page_id=PAGE))

    await idle.pauses.resume(resume_message(message_id))
    await run_all_triggers(idle, message_id)
    assert (await idle.row(message_id)).retry_count == 0
    await holds.release(ReleasePage(owner=OWNER, page_id=PAGE))

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")


async def test_a_second_resume_changes_nothing(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, cron())

    for _ in range(2):
        await idle.pauses.resume(resume_message(message_id))

    assert len(await idle.events(message_id, MessageResumed)) == 1


async def test_a_resend_of_named_recipients_ends_the_suspension_for_them_only(
    idle: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await stopped(idle, control, auto())
    await control.order({"preset": "temporary", "times": 1, "recipients": FIFTY})

    await idle.resend(message_id, recipient_ids=(FIFTY[1], FIFTY[2]))
    await run_all_triggers(idle, message_id)

    assert not (await idle.row(message_id)).automatic_rounds_suspended
    assert (await rounds(idle, message_id))[1:] == [(RetryTrigger.MANUAL, 2), (RetryTrigger.AUTO, 2)]


async def test_a_resend_of_all_ends_the_suspension(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())
    await control.order({"preset": "temporary", "times": 1, "recipients": [FIFTY[7]]})

    await idle.resend(message_id)

    row = await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert (row.automatic_rounds_suspended, row.retry_count) == (False, 1)


async def test_a_dry_run_and_a_resend_without_recipients_leave_it_suspended(
    idle: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await stopped(idle, control, auto())

    await idle.resend(message_id, validate_only=True)
    await idle.resend(message_id, recipient_ids=("unknown",))

    assert (await idle.row(message_id)).automatic_rounds_suspended


async def test_a_second_successful_canary_ends_the_suspension(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())

    await idle.resend(message_id, canary=ONE)

    row = await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert not row.automatic_rounds_suspended


async def test_a_second_failed_canary_suspends_again(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())
    await control.order({"preset": "temporary", "recipients": [FIFTY[0]], "times": 1})

    await idle.resend(message_id, canary=ONE)
    await eventually(lambda: idle.events(message_id, RetryStopped), lambda found: len(found) == 2)
    await run_all_triggers(idle, message_id)

    assert facts(await idle.row(message_id)) == ("FAILED", True, None, 0)


@every_policy
async def test_a_suspended_message_can_be_cancelled(
    idle: ServiceProcess, control: SandboxControl, policy: RetryPolicy
) -> None:
    message_id = await stopped(idle, control, policy)

    await idle.cancels.cancel(cancel_message(message_id))

    row = await idle.row(message_id)
    assert (row.status, row.automatic_rounds_suspended) == ("CANCELLED", False)


async def test_a_message_without_automatic_rounds_is_not_suspended(
    idle: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await stopped(idle, control, RetryPolicy())

    assert not (await idle.row(message_id)).automatic_rounds_suspended
    with pytest.raises(MessageIsDone):
        await idle.pauses.pause(pause_message(message_id))


async def test_one_resume_ends_a_pause_and_a_suspension(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())
    await idle.pauses.pause(pause_message(message_id))
    await idle.reconciler.reconcile()
    paused = await idle.row(message_id)

    await idle.pauses.resume(resume_message(message_id))

    assert (paused.status, paused.automatic_rounds_suspended) == ("PAUSED", True)
    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")


async def test_a_suspension_survives_a_restart_and_a_rebuild(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as first:
        await first.put_page()
        message_id = await stopped(first, sandbox.control, auto())
        rebuild(first.store)

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.start()
        await run_all_triggers(service, message_id)

        assert facts(await service.row(message_id)) == ("FAILED", True, None, 0)
        assert [one.trigger for one in await service.events(message_id, RetryRequested)] == [RetryTrigger.MANUAL]
