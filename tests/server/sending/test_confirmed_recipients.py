"""The recipients that automatic rounds take after a resend of named ones: a trace for each rule of automatic_rounds."""

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
from tests.server.sending.histories import batch_of, hear_late, write
from tests.server.sending.works import Works, open_works
from tests.waiting import eventually

FIFTY = [who.id for who in crowd(50)]
THREE = tuple(FIFTY[:3])
OTHERS = frozenset(FIFTY[3:])
HICCUP = {"preset": "temporary", "times": 1}


@pytest.fixture(autouse=True)
def _frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.background.due_rounds.POLL_SECONDS", 0.05)


# Each resend comes before the start of the services: what these heard of the end of the batch would otherwise start the
# policy's own round, now that the page has another token.
async def failed_before(
    works: Works, policy: RetryPolicy, *, three: Outcome = FAILED_FOR_TOKEN, others: Outcome = FAILED_FOR_TOKEN
) -> str:
    """The id of a message that failed for all, and is done. Then the page got another token."""
    message_id = await works.send(crowd(50), retry_policy=policy)
    batch = await batch_of(works, message_id)
    outcomes = {**dict.fromkeys(FIFTY, others), **dict.fromkeys(THREE, three)}
    await write(works, batch, *delivered(batch, outcomes))
    await ended(works, message_id)
    await works.put_page(access_token="another token")
    return message_id


async def ended(works: Works, message_id: str) -> None:
    """Nothing has changed since the message was done, so that no sweep starts a round of it."""
    message = await load_message(works.log, message_id)
    await works.append(
        message_stream(message_id), message.version, MessageCompleted(message_id=message_id, time=wall_clock())
    )


async def looked_at(works: Works, message_id: str) -> None:
    """Everything that starts automatic rounds looks at the message once more, now that it is done."""
    await works.done(message_id)
    rounds = AutomaticRoundService(works.log, wall_clock)
    await works.sweeper.sweep()
    await RoundFinalizer(works.log, rounds, works.worker, wall_clock).close(message_id, swept=True)
    await DueRounds(works.log, rounds, works.worker).look()
    await works.done(message_id)


async def resent(works: Works, message_id: str) -> set[str]:
    """The recipients with more than one attempt."""
    return {who for who, attempts in (await works.attempts(message_id)).items() if len(attempts) > 1}


async def rounds(works: Works, message_id: str) -> Sequence[tuple[RetryTrigger, int]]:
    return [(one.trigger, one.recipients) for one in await works.events(message_id, RetryRequested)]


NAMED = {
    "recipients": {"recipient_ids": THREE},
    "a type": {"error_types": (ErrorType.NETWORK,)},
    "both": {"recipient_ids": (*THREE, FIFTY[7]), "error_types": (ErrorType.NETWORK,)},
    "unconfirmed too": {"recipient_ids": THREE, "include_unconfirmed": True},
}


@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
async def test_after_a_resend_of_named_recipients_no_other_is_taken(idle: Works, named: dict[str, Any]) -> None:
    message_id = await failed_before(idle, auto(), three=FAILED)
    await idle.resend(message_id, **named)
    await idle.start()

    await looked_at(idle, message_id)

    assert await resent(idle, message_id) == set(THREE)
    assert await idle.counts(message_id) == {"SENT": 3, "FAILED": 47}
    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3)]


async def test_an_automatic_round_takes_the_named_recipients_again(idle: Works, control: SandboxControl) -> None:
    message_id = await failed_before(idle, auto())
    await control.order({**HICCUP, "recipients": list(FIFTY)})
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()

    await looked_at(idle, message_id)

    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3), (RetryTrigger.AUTO, 3)]
    assert await idle.counts(message_id) == {"SENT": 3, "FAILED": 47}


async def test_a_frozen_set_takes_no_recipient_that_changed_later(idle: Works, control: SandboxControl) -> None:
    message_id = await failed_before(idle, auto(), others=FAILED)
    seen = (await idle.row(message_id)).sequence
    await idle.resend(message_id, recipient_ids=(FIFTY[40],))
    await control.order({"preset": "temporary", "recipients": [FIFTY[40]], "times": 3}, {**HICCUP, "recipients": FIFTY})
    await idle.start()
    await idle.done(message_id)

    await idle.resend(message_id, as_of_sequence=seen, error_types=(ErrorType.ACCESS_TOKEN,))
    await looked_at(idle, message_id)

    assert await resent(idle, message_id) == {*THREE, FIFTY[40]}


async def test_a_plain_resend_of_a_frozen_set_limits_too(idle: Works) -> None:
    message_id = await failed_before(idle, auto())
    seen = (await idle.row(message_id)).sequence

    await idle.resend(message_id, as_of_sequence=seen)

    [requested] = await idle.events(message_id, RetryRequested)
    assert (requested.recipients, requested.automatic_from_batch) == (50, 2)


async def test_recipients_of_several_resends_add_up(idle: Works, control: SandboxControl) -> None:
    message_id = await failed_before(idle, auto())
    await control.order({"preset": "temporary", "recipients": [FIFTY[0]], "times": 2}, {**HICCUP, "recipients": FIFTY})
    await idle.resend(message_id, recipient_ids=(FIFTY[0],))
    await idle.resend(message_id, recipient_ids=(FIFTY[1],))
    await idle.start()

    await looked_at(idle, message_id)

    assert await resent(idle, message_id) == {FIFTY[0], FIFTY[1]}
    assert (await rounds(idle, message_id))[2:] == [(RetryTrigger.AUTO, 2), (RetryTrigger.AUTO, 1)]


async def test_a_resend_that_names_nothing_ends_the_limit(idle: Works, control: SandboxControl) -> None:
    message_id = await failed_before(idle, auto(), others=FAILED)
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()
    await looked_at(idle, message_id)
    limited = (await idle.row(message_id)).automatic_from_batch
    await control.order({**HICCUP, "recipients": [FIFTY[9]]})

    await idle.resend(message_id)

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert (limited, (await idle.row(message_id)).automatic_from_batch) == (2, 0)
    assert (await rounds(idle, message_id))[-2:] == [(RetryTrigger.MANUAL, 47), (RetryTrigger.AUTO, 1)]


async def test_the_first_send_under_way_keeps_its_own_round(idle: Works) -> None:
    """Two batches, of which one has failed when three of its recipients are resent."""
    message_id = await idle.send(crowd(130), retry_policy=auto())
    batch = await batch_of(idle, message_id)
    await write(idle, batch, *delivered(batch, {who.id: FAILED for who in crowd(130)}))

    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")
    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3), (RetryTrigger.AUTO, 97)]


async def test_an_automatic_round_under_way_keeps_the_next_one(idle: Works, control: SandboxControl) -> None:
    message_id = await idle.send(crowd(50), retry_policy=auto())
    batch = await batch_of(idle, message_id)
    await write(idle, batch, *delivered(batch, dict.fromkeys(FIFTY, FAILED)))
    assert await AutomaticRoundService(idle.log, wall_clock).start(message_id, RetryTrigger.AUTO, retry_count=0)
    batch = await batch_of(idle, message_id, 2)
    await write(idle, batch, *delivered(batch, dict.fromkeys(FIFTY[:40], FAILED))[:-1])

    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()

    await idle.done(message_id)
    assert (await idle.row(message_id)).automatic_from_batch == 0


async def test_a_limit_stays_when_another_resend_comes_while_the_first_is_under_way(idle: Works) -> None:
    message_id = await failed_before(idle, auto())
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.resend(message_id, recipient_ids=(FIFTY[3],))

    await idle.start()
    await looked_at(idle, message_id)

    assert await resent(idle, message_id) == {*THREE, FIFTY[3]}


async def test_a_round_by_the_messages_own_schedule_takes_no_other(idle: Works, control: SandboxControl) -> None:
    message_id = await failed_before(idle, auto(3, each(0.3)))
    await idle.resend(message_id, recipient_ids=THREE)
    await control.order({**HICCUP, "recipients": [FIFTY[0]]})
    await idle.start()

    row = await eventually(lambda: idle.row(message_id), lambda row: row.completed and row.retry_count == 1)
    await eventually(lambda: idle.log.read(lambda sql: sql.clock()), lambda now: now > (row.next_retry_time or 0))
    await looked_at(idle, message_id)

    assert await rounds(idle, message_id) == [(RetryTrigger.MANUAL, 3), (RetryTrigger.AUTO, 1)]
    assert await resent(idle, message_id) == set(THREE)


async def test_a_page_that_was_on_hold_for_its_token_starts_no_other(
    idle: Works, control: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All failed, the page was put on hold, the token replaced, and three resent before any sweep looked."""
    monkeypatch.setattr("server.background.reconciler.SWEEP_SECONDS", 600)
    await control.order({"preset": "expired_token"})
    await idle.start()
    message_id = await idle.send(crowd(5), retry_policy=auto())  # few enough that all leave before the page is held
    await eventually(lambda: idle.row(message_id), lambda row: row.page_hold is not None and not row.is_open)
    await idle.put_page(access_token="another token")

    await idle.resend(message_id, recipient_ids=THREE)
    await looked_at(idle, message_id)

    assert await resent(idle, message_id) == set(THREE)


async def test_late_news_of_another_recipient_starts_no_round_for_it(idle: Works) -> None:
    message_id = await idle.send(people("ann", "bob", "cid"), retry_policy=auto())
    batch = await batch_of(idle, message_id)
    await write(idle, batch, *delivered(batch, {"ann": FAILED_FOR_TOKEN, "bob": UNCONFIRMED, "cid": FAILED_FOR_TOKEN}))
    await ended(idle, message_id)
    await idle.put_page(access_token="another token")
    await idle.resend(message_id, recipient_ids=("ann",))
    await idle.start()
    await idle.done(message_id)

    await hear_late(idle, message_id, "bob", FAILED)
    await looked_at(idle, message_id)

    assert await resent(idle, message_id) == {"ann"}


async def test_the_timer_takes_every_recipient_of_a_cron_message(idle: Works) -> None:
    message_id = await failed_before(idle, cron())
    await idle.resend(message_id, recipient_ids=THREE)
    await idle.start()
    await looked_at(idle, message_id)
    assert await resent(idle, message_id) == set(THREE)

    await idle.timer.run_now()

    await eventually(lambda: idle.row(message_id), lambda row: row.status == "SENT")


async def test_another_process_keeps_the_limit(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as killed:
        await killed.put_page()
        message_id = await failed_before(killed, auto())
        await killed.resend(message_id, recipient_ids=THREE)

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.start()
        await looked_at(works, message_id)

        assert await resent(works, message_id) == set(THREE)
