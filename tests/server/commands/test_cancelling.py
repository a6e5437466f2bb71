"""Cancel: nothing more leaves, and what has left is not recalled."""

import asyncio

import pytest

from domain import batch_decisions
from domain.batch import apply
from domain.errors import MessageIsDone, MessageNotFound, RequestIdReused
from domain.message_events import MessageCancelled
from domain.retry import RetryPolicy
from domain.streams import batch_stream
from tests.builders import FAILED, SENT, auto, cancel_message, cron, crowd, people, start
from tests.server.commands.desk import Desk


async def test_a_cancel_reaches_everything_that_has_not_left(desk: Desk) -> None:
    message_id = await desk.send(crowd(250))

    row = await desk.cancels.cancel(cancel_message(message_id))

    assert (row.status, row.cancelled) == ("CANCELLED", True)
    assert await desk.counts(message_id) == {"CANCELLED": 250}
    assert {batch.status for batch in await desk.batches(message_id)} == {"CANCELLED"}


async def test_a_cancel_reaches_batches_beyond_the_first_few(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.commands.lifecycle.BATCHES_AT_ONCE", 2)
    message_id = await desk.send(crowd(650))

    await desk.cancels.cancel(cancel_message(message_id))

    assert await desk.counts(message_id) == {"CANCELLED": 650}


async def test_what_was_sent_stays_sent(desk: Desk) -> None:
    message_id = await desk.sent({"ann": SENT, "bob": FAILED, "eve": FAILED})
    await desk.resend(message_id, recipient_ids=("bob",))

    await desk.cancels.cancel(cancel_message(message_id))

    assert await desk.counts(message_id) == {"SENT": 1, "FAILED": 2}


async def test_what_is_on_its_way_comes_to_its_own_end(desk: Desk) -> None:
    message_id = await desk.send(people("ann", "bob"))
    row = (await desk.batches(message_id))[0]
    batch = await desk.batch(row)
    events = start(batch)
    claimed = apply(batch, events)
    leaving = batch_decisions.dispatch(claimed, [0], token_generation=1, now=desk.now())
    await desk.append(batch_stream(message_id, 0, 1), batch.version, *events, *leaving)

    await desk.cancels.cancel(cancel_message(message_id))

    assert await desk.counts(message_id) == {"SENDING": 1, "CANCELLED": 1}


async def test_cancelling_again_changes_nothing(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    first = await desk.cancels.cancel(cancel_message(message_id))
    before = await desk.contents()

    again = await desk.cancels.cancel(cancel_message(message_id))

    assert again == first
    assert await desk.contents() == before


async def test_cancels_at_once_are_one(desk: Desk) -> None:
    message_id = await desk.send(crowd(120))

    rows = await asyncio.gather(*(desk.cancels.cancel(cancel_message(message_id)) for _ in range(4)))

    assert {row.status for row in rows} == {"CANCELLED"}
    assert await desk.counts(message_id) == {"CANCELLED": 120}
    assert sum(isinstance(event, MessageCancelled) for event in await desk.events(message_id)) == 1


# Messages that are done


async def test_a_message_that_is_done_has_nothing_left_to_stop(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": SENT})

    with pytest.raises(MessageIsDone):
        await desk.cancels.cancel(cancel_message(message_id))

    assert (await desk.row(message_id)).status == "PARTIALLY_SENT"


@pytest.mark.parametrize("policy", [auto(), cron()])
async def test_a_message_that_reached_everybody_has_nothing_left_to_stop(desk: Desk, policy: RetryPolicy) -> None:
    message_id = await desk.sent({"ann": SENT}, retry_policy=policy)

    with pytest.raises(MessageIsDone):
        await desk.cancels.cancel(cancel_message(message_id))

    assert (await desk.row(message_id)).status == "SENT"


async def test_a_cron_message_that_waits_for_its_timer_can_be_cancelled(desk: Desk) -> None:
    message_id = await desk.sent({"ann": FAILED, "bob": SENT}, retry_policy=cron())

    row = await desk.cancels.cancel(cancel_message(message_id))

    assert row.status == "CANCELLED"
    assert await desk.counts(message_id) == {"FAILED": 1, "SENT": 1}


async def test_somebody_elses_message_cannot_be_cancelled(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))

    with pytest.raises(MessageNotFound):
        await desk.cancels.cancel(cancel_message(message_id, owner="somebody else"))
    with pytest.raises(MessageNotFound):
        await desk.cancels.cancel(cancel_message("no such message"))


# The same request again


async def test_a_repeated_cancel_is_answered_with_the_message_as_it_is_now(desk: Desk) -> None:
    message_id = await desk.send(people("ann"))
    await desk.cancels.cancel(cancel_message(message_id, request_id="r-1"))
    before = await desk.contents()

    again = await desk.cancels.cancel(cancel_message(message_id, request_id="r-1"))

    assert again == await desk.row(message_id)
    assert await desk.contents() == before


async def test_the_same_request_id_for_another_cancel_is_refused(desk: Desk) -> None:
    one, two = await desk.send(people("ann")), await desk.send(people("ann"))
    await desk.cancels.cancel(cancel_message(one, request_id="r-1"))

    with pytest.raises(RequestIdReused):
        await desk.cancels.cancel(cancel_message(two, request_id="r-1"))

    assert await desk.counts(two) == {"PENDING": 1}


async def test_two_cancels_with_one_request_id_at_once_are_one_cancel_and_one_refusal(desk: Desk) -> None:
    ids = [await desk.send(people("ann")) for _ in range(2)]

    results = await asyncio.gather(
        *(desk.cancels.cancel(cancel_message(message_id, request_id="r-1")) for message_id in ids),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["MessageRow", "RequestIdReused"]
    assert sorted([(await desk.row(message_id)).status for message_id in ids]) == ["CANCELLED", "PENDING"]
