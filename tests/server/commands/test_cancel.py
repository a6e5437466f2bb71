"""Cancelling: pending deliveries are cancelled, dispatched ones are not."""

import asyncio

import pytest

from domain import batch_decisions
from domain.batch import apply
from domain.errors import MessageIsDone, MessageNotFound, RequestIdReused
from domain.message_events import MessageCancelled
from domain.retry import RetryPolicy
from domain.streams import batch_stream
from tests.builders import FAILED, SENT, auto, cancel_message, cron, crowd, people, start
from tests.server.commands.command_harness import CommandHarness


async def test_a_cancel_affects_all_deliveries_that_have_not_left(harness: CommandHarness) -> None:
    message_id = await harness.send(crowd(250))

    row = await harness.cancels.cancel(cancel_message(message_id))

    assert (row.status, row.cancelled) == ("CANCELLED", True)
    assert await harness.counts(message_id) == {"CANCELLED": 250}
    assert {batch.status for batch in await harness.batches(message_id)} == {"CANCELLED"}


async def test_a_cancel_affects_batches_beyond_the_first_page_of_batches(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.commands.lifecycle.BATCHES_AT_ONCE", 2)
    message_id = await harness.send(crowd(650))

    await harness.cancels.cancel(cancel_message(message_id))

    assert await harness.counts(message_id) == {"CANCELLED": 650}


async def test_sent_deliveries_stay_sent(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": SENT, "bob": FAILED, "eve": FAILED})
    await harness.resend(message_id, recipient_ids=("bob",))

    await harness.cancels.cancel(cancel_message(message_id))

    assert await harness.counts(message_id) == {"SENT": 1, "FAILED": 2}


async def test_deliveries_in_flight_keep_their_own_outcome(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann", "bob"))
    row = (await harness.batches(message_id))[0]
    batch = await harness.batch(row)
    events = start(batch)
    claimed = apply(batch, events)
    leaving = batch_decisions.dispatch(claimed, [0], token_generation=1, now=harness.now())
    await harness.append(batch_stream(message_id, 0, 1), batch.version, *events, *leaving)

    await harness.cancels.cancel(cancel_message(message_id))

    assert await harness.counts(message_id) == {"SENDING": 1, "CANCELLED": 1}


async def test_a_second_cancel_changes_nothing(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    first = await harness.cancels.cancel(cancel_message(message_id))
    before = await harness.contents()

    again = await harness.cancels.cancel(cancel_message(message_id))

    assert again == first
    assert await harness.contents() == before


async def test_concurrent_cancels_are_one(harness: CommandHarness) -> None:
    message_id = await harness.send(crowd(120))

    rows = await asyncio.gather(*(harness.cancels.cancel(cancel_message(message_id)) for _ in range(4)))

    assert {row.status for row in rows} == {"CANCELLED"}
    assert await harness.counts(message_id) == {"CANCELLED": 120}
    assert sum(isinstance(event, MessageCancelled) for event in await harness.events(message_id)) == 1


# Messages that are done


async def test_a_done_message_cannot_be_cancelled(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": SENT})

    with pytest.raises(MessageIsDone):
        await harness.cancels.cancel(cancel_message(message_id))

    assert (await harness.row(message_id)).status == "PARTIALLY_SENT"


@pytest.mark.parametrize("policy", [auto(), cron()])
async def test_a_completely_sent_message_cannot_be_cancelled(harness: CommandHarness, policy: RetryPolicy) -> None:
    message_id = await harness.sent({"ann": SENT}, retry_policy=policy)

    with pytest.raises(MessageIsDone):
        await harness.cancels.cancel(cancel_message(message_id))

    assert (await harness.row(message_id)).status == "SENT"


async def test_a_cron_message_that_waits_for_its_timer_can_be_cancelled(harness: CommandHarness) -> None:
    message_id = await harness.sent({"ann": FAILED, "bob": SENT}, retry_policy=cron())

    row = await harness.cancels.cancel(cancel_message(message_id))

    assert row.status == "CANCELLED"
    assert await harness.counts(message_id) == {"FAILED": 1, "SENT": 1}


async def test_a_message_of_another_owner_cannot_be_cancelled(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))

    with pytest.raises(MessageNotFound):
        await harness.cancels.cancel(cancel_message(message_id, owner="another owner"))
    with pytest.raises(MessageNotFound):
        await harness.cancels.cancel(cancel_message("no such message"))


# Repeated requests


async def test_a_repeated_cancel_is_answered_with_the_current_message(harness: CommandHarness) -> None:
    message_id = await harness.send(people("ann"))
    await harness.cancels.cancel(cancel_message(message_id, request_id="r-1"))
    before = await harness.contents()

    again = await harness.cancels.cancel(cancel_message(message_id, request_id="r-1"))

    assert again == await harness.row(message_id)
    assert await harness.contents() == before


async def test_the_same_request_id_for_another_cancel_is_refused(harness: CommandHarness) -> None:
    one, two = await harness.send(people("ann")), await harness.send(people("ann"))
    await harness.cancels.cancel(cancel_message(one, request_id="r-1"))

    with pytest.raises(RequestIdReused):
        await harness.cancels.cancel(cancel_message(two, request_id="r-1"))

    assert await harness.counts(two) == {"PENDING": 1}


async def test_two_concurrent_cancels_with_one_request_id_are_one_cancel_and_one_refusal(
    harness: CommandHarness,
) -> None:
    ids = [await harness.send(people("ann")) for _ in range(2)]

    results = await asyncio.gather(
        *(harness.cancels.cancel(cancel_message(message_id, request_id="r-1")) for message_id in ids),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["MessageRow", "RequestIdReused"]
    assert sorted([(await harness.row(message_id)).status for message_id in ids]) == ["CANCELLED", "PENDING"]
