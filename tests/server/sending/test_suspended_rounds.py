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
from tests.server.sending.test_confirmed_recipients import FIFTY, failed_before, looked_at, resent, rounds
from tests.server.sending.works import KEY, Works, open_works
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
def _frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.background.due_rounds.POLL_SECONDS", 0.05)


async def stopped(works: Works, control: SandboxControl, policy: RetryPolicy) -> str:
    """The id of a message for 50 whose canary of one has failed; the message is done, and the outage over."""
    message_id = await failed_before(works, policy)
    await control.order({"preset": "temporary", "recipients": [FIFTY[0]], "times": 1})
    await works.resend(message_id, canary=ONE)
    await works.start()
    await eventually(lambda: works.events(message_id, RetryStopped), lambda found: len(found) == 1)
    await works.done(message_id)
    return message_id


def facts(row: MessageRow) -> Sequence[object]:
    return row.status, row.automatic_rounds_suspended, row.next_retry_time, row.retry_count


@every_policy
async def test_no_automatic_round_follows_a_stopped_canary(
    idle: Works, control: SandboxControl, policy: RetryPolicy
) -> None:
    message_id = await stopped(idle, control, policy)

    await looked_at(idle, message_id)
    results = await idle.timer.run_now()

    assert facts(await idle.row(message_id)) == ("FAILED", True, None, 0)
    assert results == []
    assert await resent(idle, message_id) == {FIFTY[0]}


@every_policy
async def test_a_resume_lets_automatic_rounds_go_on(idle: Works, control: SandboxControl, policy: RetryPolicy) -> None:
    message_id = await stopped(idle, control, policy)

    await idle.pauses.resume(resume_message(message_id))
    if policy == cron():
        assert [one.status for one in await idle.timer.run_now()] == [TimerStatus.STARTED]

    row = await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert (row.retry_count, row.automatic_rounds_suspended) == (1, False)
    assert len(await idle.events(message_id, MessageResumed)) == 1


async def test_a_resume_while_the_page_is_on_hold_counts_after_its_release(
    idle: Works, control: SandboxControl
) -> None:
    message_id = await stopped(idle, control, auto())
    holds = PageHoldService(idle.log, Vault(KEY), wall_clock)
    await holds.hold(HoldPage(owner=OWNER, page_id=PAGE))

    await idle.pauses.resume(resume_message(message_id))
    await looked_at(idle, message_id)
    assert (await idle.row(message_id)).retry_count == 0
    await holds.release(ReleasePage(owner=OWNER, page_id=PAGE))

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")


async def test_a_second_resume_changes_nothing(idle: Works, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, cron())

    for _ in range(2):
        await idle.pauses.resume(resume_message(message_id))

    assert len(await idle.events(message_id, MessageResumed)) == 1


async def test_a_resend_of_named_recipients_ends_the_suspension_for_these_alone(
    idle: Works, control: SandboxControl
) -> None:
    message_id = await stopped(idle, control, auto())
    await control.order({"preset": "temporary", "times": 1, "recipients": FIFTY})

    await idle.resend(message_id, recipient_ids=(FIFTY[1], FIFTY[2]))
    await looked_at(idle, message_id)

    assert not (await idle.row(message_id)).automatic_rounds_suspended
    assert (await rounds(idle, message_id))[1:] == [(RetryTrigger.MANUAL, 2), (RetryTrigger.AUTO, 2)]


async def test_a_resend_of_all_ends_the_suspension(idle: Works, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())
    await control.order({"preset": "temporary", "times": 1, "recipients": [FIFTY[7]]})

    await idle.resend(message_id)

    row = await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert (row.automatic_rounds_suspended, row.retry_count) == (False, 1)


async def test_a_dry_run_and_a_resend_of_nobody_leave_it_suspended(idle: Works, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())

    await idle.resend(message_id, validate_only=True)
    await idle.resend(message_id, recipient_ids=("a stranger",))

    assert (await idle.row(message_id)).automatic_rounds_suspended


async def test_a_second_canary_that_goes_well_ends_the_suspension(idle: Works, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())

    await idle.resend(message_id, canary=ONE)

    row = await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert not row.automatic_rounds_suspended


async def test_a_second_canary_that_fails_suspends_again(idle: Works, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())
    await control.order({"preset": "temporary", "recipients": [FIFTY[0]], "times": 1})

    await idle.resend(message_id, canary=ONE)
    await eventually(lambda: idle.events(message_id, RetryStopped), lambda found: len(found) == 2)
    await looked_at(idle, message_id)

    assert facts(await idle.row(message_id)) == ("FAILED", True, None, 0)


@every_policy
async def test_a_suspended_message_can_be_cancelled(idle: Works, control: SandboxControl, policy: RetryPolicy) -> None:
    message_id = await stopped(idle, control, policy)

    await idle.cancels.cancel(cancel_message(message_id))

    row = await idle.row(message_id)
    assert (row.status, row.automatic_rounds_suspended) == ("CANCELLED", False)


async def test_a_message_without_automatic_rounds_is_not_called_suspended(idle: Works, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, RetryPolicy())

    assert not (await idle.row(message_id)).automatic_rounds_suspended
    with pytest.raises(MessageIsDone):
        await idle.pauses.pause(pause_message(message_id))


async def test_a_pause_of_a_suspended_message_ends_with_the_same_resume(idle: Works, control: SandboxControl) -> None:
    message_id = await stopped(idle, control, auto())
    await idle.pauses.pause(pause_message(message_id))
    await idle.sweeper.sweep()
    paused = await idle.row(message_id)

    await idle.pauses.resume(resume_message(message_id))

    assert (paused.status, paused.automatic_rounds_suspended) == ("PAUSED", True)
    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")


async def test_a_restart_and_a_rebuild_keep_it_suspended(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as first:
        await first.put_page()
        message_id = await stopped(first, sandbox.control, auto())
        rebuild(first.store)

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.start()
        await looked_at(works, message_id)

        assert facts(await works.row(message_id)) == ("FAILED", True, None, 0)
        assert [one.trigger for one in await works.events(message_id, RetryRequested)] == [RetryTrigger.MANUAL]
