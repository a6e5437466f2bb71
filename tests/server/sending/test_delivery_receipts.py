"""Receipts beside workers: evidence wins over whatever a worker knows, and whatever it would do next."""

import pytest

from domain.batch_events import DeliveriesReturned, OutcomesRecorded
from domain.commands import RecordReceipts, ToldReceipt
from domain.outcome import Sent, Unconfirmed
from domain.receipt_events import ReceiptKind
from server.sandbox.control import SandboxControl
from tests.builders import NOW, OWNER, PAGE, crowd, people
from tests.keyed_ids import IDS
from tests.server.sending.histories import begun_by, unconfirmed
from tests.server.sending.works import Works
from tests.waiting import eventually


async def echo(works: Works, message_id: str, *positions: int, batch: int = 1) -> None:
    """The platform says that it took these."""
    attempts = [one for rows in (await works.attempts(message_id)).values() for one in rows]
    who = {(one.batch_number, one.position): one.recipient_id for one in attempts}
    told = tuple(
        ToldReceipt(
            kind=ReceiptKind.ECHO,
            page_id=PAGE,
            recipient_id=who[batch, position],
            delivery_id=IDS.delivery(message_id, batch, position),
            provider_message_id=f"m_{position}",
            time=NOW,
        )
        for position in positions
    )
    counts = await works.receipts.record(RecordReceipts(owner=OWNER, receipts=told))
    assert counts.recorded == len(positions)


async def statuses(works: Works, message_id: str) -> dict[str, list[str]]:
    return {who: [one.status for one in attempts] for who, attempts in (await works.attempts(message_id)).items()}


async def test_a_take_over_finds_sent_what_was_echoed_meanwhile(idle: Works) -> None:
    message_id = await idle.send(crowd(5))
    await begun_by(idle, "dead", message_id, dispatched=[0, 3])
    await echo(idle, message_id, 3)

    await idle.start()

    await idle.done(message_id)
    assert await idle.counts(message_id) == {"SENT": 4, "UNCONFIRMED": 1}
    taken_over = (await idle.events(message_id, OutcomesRecorded, 1))[0]
    found = {known.position: type(known.outcome) for known in taken_over.outcomes}
    assert found == {0: Unconfirmed, 3: Sent}, "the log itself does not call it unconfirmed (protocol rule 4)"


async def test_a_freed_batch_keeps_what_was_echoed(idle: Works) -> None:
    message_id = await idle.send(crowd(5))
    await begun_by(idle, "dead", message_id, dispatched=[0, 3])
    await echo(idle, message_id, 3)

    assert await idle.stuck.process(OWNER, message_id) == (1, 1)

    assert await idle.counts(message_id) == {"PENDING": 3, "SENT": 1, "UNCONFIRMED": 1}
    (freed,) = await idle.events(message_id, OutcomesRecorded, 1)
    assert [type(known.outcome) for known in freed.outcomes] == [Unconfirmed, Sent]


async def test_an_echo_that_comes_before_the_answer_is_what_counts(works: Works, control: SandboxControl) -> None:
    """The answer never comes: by the worker it is unconfirmed."""
    await control.order({"effect": {"kind": "delay", "seconds": 0.5}}, {"effect": {"kind": "reset"}, "accepts": True})
    message_id = await works.send(crowd(3))
    await works.arrived(3)
    await eventually(lambda: works.counts(message_id), lambda counts: counts == {"SENDING": 3})

    await echo(works, message_id, 0, 2)
    assert await works.counts(message_id) == {"SENT": 2, "SENDING": 1}

    assert (await works.done(message_id)).status == "PARTIALLY_SENT"
    assert await works.counts(message_id) == {"SENT": 2, "UNCONFIRMED": 1}


async def test_an_echo_that_comes_after_the_end_makes_the_message_sent(works: Works, control: SandboxControl) -> None:
    await control.order({"effect": {"kind": "reset"}, "accepts": True})
    message_id = await works.send(crowd(2))
    assert (await works.done(message_id)).status == "FAILED"

    await echo(works, message_id, 0, 1)

    row = await works.row(message_id)
    assert (row.status, await works.counts(message_id)) == ("SENT", {"SENT": 2})


async def test_what_was_echoed_before_it_left_never_leaves(idle: Works) -> None:
    """Nobody knows how that can be; but evidence wins over every state."""
    message_id = await idle.send(people("ann", "bob", "cid"))
    await echo(idle, message_id, 1)

    await idle.start()

    assert (await idle.done(message_id)).status == "SENT"
    assert await idle.accepted() == {"ann": 1, "cid": 1}
    assert await statuses(idle, message_id) == {"ann": ["SENT"], "bob": ["SENT"], "cid": ["SENT"]}
    assert await idle.events(message_id, DeliveriesReturned, 1)


async def test_whoever_was_reached_by_the_first_attempt_is_not_sent_the_second(idle: Works) -> None:
    message_id = await unconfirmed(idle, "ann", "bob")
    await idle.resend(message_id, include_unconfirmed=True)
    await echo(idle, message_id, 0)

    await idle.start()

    assert (await idle.done(message_id)).status == "SENT"
    assert await idle.accepted() == {"bob": 1}
    assert await statuses(idle, message_id) == {"ann": ["SENT", "CANCELLED"], "bob": ["UNCONFIRMED", "SENT"]}


async def test_both_attempts_may_turn_out_to_have_arrived(works: Works, control: SandboxControl) -> None:
    await control.order({"effect": {"kind": "reset"}, "accepts": True})
    message_id = await works.send(people("ann"))
    await works.done(message_id)
    await works.resend(message_id, include_unconfirmed=True)
    await works.done(message_id)

    await echo(works, message_id, 0)
    await echo(works, message_id, 0, batch=2)

    assert await statuses(works, message_id) == {"ann": ["SENT", "SENT"]}
    assert await works.counts(message_id) == {"SENT": 1}


@pytest.mark.parametrize("echoed", [(0,), (0, 1, 2)])
async def test_receipts_do_not_disturb_a_batch_that_is_under_way(
    works: Works, control: SandboxControl, echoed: tuple[int, ...]
) -> None:
    """They stand on a stream of their own: the worker's appends do not conflict."""
    await control.order({"effect": {"kind": "delay", "seconds": 0.3}})
    message_id = await works.send(people("ann", "bob", "cid"))
    await works.arrived(3)

    await echo(works, message_id, *echoed)

    assert (await works.done(message_id)).status == "SENT"
    assert await works.counts(message_id) == {"SENT": 3}
    (batch,) = await works.batches(message_id)
    assert (batch.status, batch.sent, batch.sending) == ("COMPLETED", 3, 0)
