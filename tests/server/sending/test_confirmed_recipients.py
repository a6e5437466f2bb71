"""Recipients of automatic rounds after a resend of named recipients; one test per rule of automatic_rounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.fault import ErrorType
from domain.message_events import MessageCompleted, RetryRequested
from domain.outcome import Outcome
from domain.retry import RetryPolicy, RetryTrigger
from domain.streams import message_stream
from server.background.due_rounds import DueRounds
from server.background.round_finalizer import RoundFinalizer
from server.commands.lookup import load_message
from server.commands.rounds import AutomaticRoundService
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import (
    FAILED,
    FAILED_FOR_TOKEN,
    UNCONFIRMED,
    auto,
    cron,
    crowd,
    delivered,
    each,
    people,
    wall_clock,
)
from tests.server.sending.earlier_events import append_events, batch_of, record_late_outcome
from tests.server.sending.service_process import ServiceProcess, open_service
from tests.waiting import eventually

FIFTY = [who.id for who in crowd(50)]
THREE = tuple(FIFTY[:3])
OTHERS = frozenset(FIFTY[3:])
FAIL_ONCE = {"preset": "temporary", "times": 1}


@pytest.fixture(autouse=True)
def _frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.background.due_rounds.POLL_SECONDS", 0.05)


# Each resend comes before the services start. Otherwise a notification of the batch's end would start the policy's own
# round, because the page has a new token.
# policy's own round, now that the page has another token.
async def failed_before(
    service: ServiceProcess,
    policy: RetryPolicy,
    *,
    three: Outcome = FAILED_FOR_TOKEN,
    others: Outcome = FAILED_FOR_TOKEN,
) -> str:
    """Create a completed message whose recipients all failed; then replace the page's token. Return the message id."""
    message_id = await service.send(crowd(50), retry_policy=policy)
    batch = await batch_of(service, message_id)
    outcomes = {**dict.fromkeys(FIFTY, others), **dict.fromkeys(THREE, three)}
    await append_events(service, batch, *delivered(batch, outcomes))
    await ended(service, message_id)
    await service.put_page(access_token="another token")
    return message_id


async def ended(service: ServiceProcess, message_id: str) -> None:
    """Complete the message with its current state, so that the reconciler starts no round."""
    message = await load_message(service.log, message_id)
    await service.append(
        message_stream(message_id), message.version, MessageCompleted(message_id=message_id, time=wall_clock())
    )


async def run_all_triggers(service: ServiceProcess, message_id: str) -> None:
    """Run everything that starts automatic rounds once more after the message is done."""
    await service.done(message_id)
    rounds = AutomaticRoundService(service.log, wall_clock)
    await service.reconciler.reconcile()
    await RoundFinalizer(service.log, rounds, service.worker, wall_clock).finalize(message_id, by_reconciler=True)
    await DueRounds(service.log, rounds, service.worker).start_due()
    await service.done(message_id)


async def resent(service: ServiceProcess, message_id: str) -> set[str]:
    """Return the recipients with more than one attempt."""
    return {who for who, attempts in (await service.attempts(message_id)).items() if len(attempts) > 1}


async def rounds(service: ServiceProcess, message_id: str) -> Sequence[tuple[RetryTrigger, int]]:
    return [(one.trigger, one.recipients) for one in await service.events(message_id, RetryRequested)]


NAMED = {
    "recipients": {"recipient_ids": THREE},
    "a type": {"error_types": (ErrorType.NETWORK,)},
    "both": {"recipient_ids": (*THREE, FIFTY[7]), "error_types": (ErrorType.NETWORK,)},
    "unconfirmed too": {"recipient_ids": THREE, "include_unconfirmed": True},
}


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
async def test_after_a_resend_of_named_recipients_no_other_recipient_is_resent(
    idle: ServiceProcess, named: dict[str, Any]
) -> None:
    message_id = await failed_before(idle, auto(), three=FAILED)
    await idle.resend(message_id, **named)
    await idle.start()

    await run_all_triggers(idle, message_id)

    assert await resent(idle, message_id) == set(THREE)
    assert await idle.counts(message_id) == {"SENT": 3, "FAILED": 47}
    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3)]


async def test_an_automatic_round_takes_the_named_recipients_again(
    idle: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await failed_before(idle, auto())
    await control.order({**FAIL_ONCE, "recipients": list(FIFTY)})
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()

    await run_all_triggers(idle, message_id)

    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3), (RetryTrigger.AUTO, 3)]
    assert await idle.counts(message_id) == {"SENT": 3, "FAILED": 47}


async def test_a_resend_as_of_a_sequence_skips_recipients_that_changed_later(
    idle: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await failed_before(idle, auto(), others=FAILED)
    seen = (await idle.row(message_id)).sequence
    await idle.resend(message_id, recipient_ids=(FIFTY[40],))
    await control.order(
        {"preset": "temporary", "recipients": [FIFTY[40]], "times": 3}, {**FAIL_ONCE, "recipients": FIFTY}
    )
    await idle.start()
    await idle.done(message_id)

    await idle.resend(message_id, as_of_sequence=seen, error_types=(ErrorType.ACCESS_TOKEN,))
    await run_all_triggers(idle, message_id)

    assert await resent(idle, message_id) == {*THREE, FIFTY[40]}


async def test_a_plain_resend_as_of_a_sequence_limits_automatic_rounds_too(idle: ServiceProcess) -> None:
    message_id = await failed_before(idle, auto())
    seen = (await idle.row(message_id)).sequence

    await idle.resend(message_id, as_of_sequence=seen)

    [requested] = await idle.events(message_id, RetryRequested)
    assert (requested.recipients, requested.automatic_from_batch) == (50, 2)


async def test_recipients_of_several_named_resends_add_up(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await failed_before(idle, auto())
    await control.order(
        {"preset": "temporary", "recipients": [FIFTY[0]], "times": 2}, {**FAIL_ONCE, "recipients": FIFTY}
    )
    await idle.resend(message_id, recipient_ids=(FIFTY[0],))
    await idle.resend(message_id, recipient_ids=(FIFTY[1],))
    await idle.start()

    await run_all_triggers(idle, message_id)

    assert await resent(idle, message_id) == {FIFTY[0], FIFTY[1]}
    assert (await rounds(idle, message_id))[2:] == [(RetryTrigger.AUTO, 2), (RetryTrigger.AUTO, 1)]


async def test_a_resend_without_a_selection_ends_the_limit(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await failed_before(idle, auto(), others=FAILED)
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()
    await run_all_triggers(idle, message_id)
    limited = (await idle.row(message_id)).automatic_from_batch
    await control.order({**FAIL_ONCE, "recipients": [FIFTY[9]]})

    await idle.resend(message_id)

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert (limited, (await idle.row(message_id)).automatic_from_batch) == (2, 0)
    assert (await rounds(idle, message_id))[-2:] == [(RetryTrigger.MANUAL, 47), (RetryTrigger.AUTO, 1)]


async def test_a_first_round_in_progress_keeps_its_own_automatic_round(idle: ServiceProcess) -> None:
    """Two batches; the first has failed when three of its recipients are resent."""
    message_id = await idle.send(crowd(130), retry_policy=auto())
    batch = await batch_of(idle, message_id)
    await append_events(idle, batch, *delivered(batch, {who.id: FAILED for who in crowd(130)}))

    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3), (RetryTrigger.AUTO, 97)]


async def test_an_automatic_round_in_progress_keeps_the_next_one(idle: ServiceProcess, control: SandboxControl) -> None:
    message_id = await idle.send(crowd(50), retry_policy=auto())
    batch = await batch_of(idle, message_id)
    await append_events(idle, batch, *delivered(batch, dict.fromkeys(FIFTY, FAILED)))
    assert await AutomaticRoundService(idle.log, wall_clock).start(message_id, RetryTrigger.AUTO, retry_count=0)
    batch = await batch_of(idle, message_id, 2)
    await append_events(idle, batch, *delivered(batch, dict.fromkeys(FIFTY[:40], FAILED))[:-1])

    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()

    await idle.done(message_id)
    assert (await idle.row(message_id)).automatic_from_batch == 0


async def test_the_limit_remains_when_another_resend_comes_during_the_first(idle: ServiceProcess) -> None:
    message_id = await failed_before(idle, auto())
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.resend(message_id, recipient_ids=(FIFTY[3],))

    await idle.start()
    await run_all_triggers(idle, message_id)

    assert await resent(idle, message_id) == {*THREE, FIFTY[3]}


async def test_a_round_of_the_messages_own_schedule_takes_no_other_recipient(
    idle: ServiceProcess, control: SandboxControl
) -> None:
    message_id = await failed_before(idle, auto(3, each(0.3)))
    await idle.resend(message_id, recipient_ids=THREE)
    await control.order({**FAIL_ONCE, "recipients": [FIFTY[0]]})
    await idle.start()

    row = await eventually(lambda: idle.row(message_id), lambda row: row.completed and row.retry_count == 1)
    await eventually(lambda: idle.log.read(lambda sql: sql.clock()), lambda now: now > (row.next_retry_time or 0))
    await run_all_triggers(idle, message_id)

    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3), (RetryTrigger.AUTO, 1)]
    assert await resent(idle, message_id) == set(THREE)


async def test_a_page_held_for_its_token_starts_no_other_recipient(
    idle: ServiceProcess, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All failed, the page was held, the token was replaced, and three were resent, all before the reconciler ran."""
    monkeypatch.setattr("server.background.reconciler.RECONCILE_SECONDS", 600)
    await control.order({"preset": "expired_token"})
    await idle.start()
    message_id = await idle.send(crowd(5), retry_policy=auto())  # few enough to leave before the page is held
    await eventually(lambda: idle.row(message_id), lambda row: row.page_hold is not None and not row.is_open)
    await idle.put_page(access_token="another token")

    await idle.resend(message_id, recipient_ids=THREE)
    await run_all_triggers(idle, message_id)

    assert await resent(idle, message_id) == set(THREE)


async def test_a_late_outcome_of_another_recipient_starts_no_round_for_it(idle: ServiceProcess) -> None:
    message_id = await idle.send(people("ann", "bob", "cid"), retry_policy=auto())
    batch = await batch_of(idle, message_id)
    await append_events(
        idle, batch, *delivered(batch, {"ann": FAILED_FOR_TOKEN, "bob": UNCONFIRMED, "cid": FAILED_FOR_TOKEN})
    )
    await ended(idle, message_id)
    await idle.put_page(access_token="another token")
    await idle.resend(message_id, recipient_ids=("ann",))
    await idle.start()
    await idle.done(message_id)

    await record_late_outcome(idle, message_id, "bob", FAILED)
    await run_all_triggers(idle, message_id)

    assert await resent(idle, message_id) == {"ann"}


async def test_the_timer_takes_every_recipient_of_a_cron_message(idle: ServiceProcess) -> None:
    message_id = await failed_before(idle, cron())
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()
    await run_all_triggers(idle, message_id)
    assert await resent(idle, message_id) == set(THREE)

    await idle.timer.run_now()

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")


async def test_another_process_keeps_the_limit(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as killed:
        await killed.put_page()
        message_id = await failed_before(killed, auto())
        await killed.resend(message_id, recipient_ids=THREE)

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.start()
        await run_all_triggers(service, message_id)

        assert await resent(service, message_id) == set(THREE)
