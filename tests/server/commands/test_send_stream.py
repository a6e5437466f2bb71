"""SendStream: the parts become one message, or nothing is stored."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from domain.commands import Recipient
from domain.errors import Aborted, PageNotRegistered, RequestIdReused, StreamInProgress
from projections import batches
from server.commands.send import SendAnswer
from server.commands.send_stream import RecipientStream, abandon_staged
from tests.builders import NOW, SENT, crowd, people, send_message
from tests.contents import contents
from tests.server.commands.command_harness import CommandHarness


async def opened(harness: CommandHarness, *parts: Sequence[Recipient], **fields: Any) -> RecipientStream:
    stream = await harness.streams.open(send_message(**fields))
    for part in parts:
        await stream.add(part)
    return stream


async def streamed(harness: CommandHarness, *parts: Sequence[Recipient], **fields: Any) -> SendAnswer:
    return await (await opened(harness, *parts, **fields)).submit()


def parts_of(recipients: Sequence[Recipient], size: int) -> list[Sequence[Recipient]]:
    return [recipients[start : start + size] for start in range(0, len(recipients), size)]


async def test_parts_become_one_message_in_full_batches(harness: CommandHarness) -> None:
    answer = await streamed(harness, *parts_of(crowd(2_350), 700), title="Streamed")

    message_id = answer.message.message_id
    assert (answer.message.total, answer.message.batches_total) == (2_350, 24)
    assert [batch.total for batch in await harness.batches(message_id)] == [100] * 23 + [50]
    assert await harness.taken(message_id, round_=0) == [who.id for who in crowd(2_350)]


async def test_nothing_is_visible_or_sent_before_the_last_part_was_accepted(harness: CommandHarness) -> None:
    stream = await opened(harness, crowd(1_500))

    assert await harness.messages() == []
    assert await harness.log.read(batches.pages_with_work) == []

    await stream.submit()

    assert [message.total for message in await harness.messages()] == [1_500]
    assert await harness.log.read(batches.pages_with_work) == ["1001"]


async def test_a_recipient_in_two_parts_is_sent_to_once(harness: CommandHarness) -> None:
    answer = await streamed(harness, crowd(1_200), crowd(1_300), people("ann"))

    assert (answer.message.total, answer.duplicates_dropped) == (1_301, 1_200)


async def test_variables_of_every_part_are_stored(harness: CommandHarness) -> None:
    hundreds = [Recipient(id=f"{n:04}", variables={"n": str(n)}) for n in range(1_150)]

    answer = await streamed(harness, hundreds[:40], hundreds[40:], text="{{n}}")

    kept = [
        variables["n"]
        for created in await harness.created(answer.message.message_id, round_=0)
        for variables in await harness.variables(created)
    ]
    assert kept == [str(n) for n in range(1_150)]


async def test_a_streamed_message_is_sent_and_resent_like_any_other(harness: CommandHarness) -> None:
    message_id = (await streamed(harness, crowd(150))).message.message_id

    await harness.deliver(message_id, {})

    assert await harness.counts(message_id) == {"SENT": 150}


async def test_a_stream_for_an_unknown_page_is_refused_at_once(harness: CommandHarness) -> None:
    with pytest.raises(PageNotRegistered):
        await harness.streams.open(send_message(page_id="2002"))


# Interrupted streams


async def test_an_interrupted_stream_leaves_nothing_visible(harness: CommandHarness) -> None:
    stream = await opened(harness, crowd(1_500), request_id="r-1")

    await stream.abandon("the caller hung up")

    assert await harness.messages() == []
    kept = await harness.log.read(contents)
    assert {name for name, rows in kept.items() if rows} == {"pages"}


async def test_after_an_interruption_the_request_can_be_streamed_again(harness: CommandHarness) -> None:
    await (await opened(harness, crowd(1_500), request_id="r-1")).abandon("the caller hung up")

    answer = await streamed(harness, crowd(1_200, "v"), request_id="r-1")

    assert answer.message.total == 1_200
    assert await harness.taken(answer.message.message_id, round_=0) == [who.id for who in crowd(1_200, "v")]
    await harness.deliver(answer.message.message_id, {})
    assert await harness.counts(answer.message.message_id) == {"SENT": 1_200}


async def test_after_an_interruption_the_request_can_be_sent_unary(harness: CommandHarness) -> None:
    await (await opened(harness, crowd(1_500), request_id="r-1")).abandon("the caller hung up")

    message_id = await harness.send(people("ann"), request_id="r-1")

    assert (await harness.row(message_id)).total == 1


async def test_an_abandoned_stream_takes_no_more_recipients(harness: CommandHarness) -> None:
    stream = await opened(harness, people("ann"), request_id="r-1")
    await stream.abandon("the worker was lost")

    with pytest.raises(Aborted):
        await stream.add(crowd(1_000))
    with pytest.raises(Aborted):
        await stream.submit()

    assert await harness.messages() == []


async def test_an_abandoned_stream_adds_nothing_to_its_successor(harness: CommandHarness) -> None:
    """Its worker seemed lost, the caller repeated the stream, and then the worker continues."""
    sleeper = await opened(harness, crowd(1_000, "old"), request_id="r-1")
    message_id = (await harness.log.read(lambda sql: sql.rows("SELECT message_id FROM messages")))[0]["message_id"]
    assert await abandon_staged(harness.log, message_id, "the worker was lost", NOW)
    successor = await opened(harness, people("new"), request_id="r-1")

    with pytest.raises(Aborted):
        await sleeper.add(crowd(1_000, "older"))
    answer = await successor.submit()

    assert answer.message.total == 1
    assert await harness.taken(message_id, round_=0) == ["new"]


async def test_abandoning_a_submitted_stream_changes_nothing(harness: CommandHarness) -> None:
    stream = await opened(harness, people("ann"))
    answer = await stream.submit()

    await stream.abandon("too late")

    assert await harness.row(answer.message.message_id) == answer.message


# Repeated requests


async def test_the_same_request_waits_while_its_stream_is_open(harness: CommandHarness) -> None:
    await opened(harness, people("ann"), request_id="r-1")

    with pytest.raises(StreamInProgress):
        await harness.streams.open(send_message(request_id="r-1"))
    with pytest.raises(Aborted):
        await harness.send(people("ann"), request_id="r-1")


async def test_one_of_two_concurrent_equal_streams_has_to_wait(harness: CommandHarness) -> None:
    command = send_message(request_id="r-1")

    results = await asyncio.gather(*(harness.streams.open(command) for _ in range(2)), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["StagedStream", "StreamInProgress"]


async def test_a_repeated_stream_gets_the_first_answer(harness: CommandHarness) -> None:
    first = await streamed(harness, crowd(120), crowd(5), request_id="r-1")
    before = await harness.contents()

    again = await streamed(harness, *parts_of([*crowd(120), *crowd(5)], 7), request_id="r-1")

    assert again == first
    assert again.duplicates_dropped == 5
    assert await harness.contents() == before


async def test_a_repeated_stream_of_other_recipients_is_refused(harness: CommandHarness) -> None:
    await streamed(harness, people("ann"), request_id="r-1")

    with pytest.raises(RequestIdReused):
        await streamed(harness, people("bob"), request_id="r-1")


async def test_a_streamed_message_is_recognised_when_sent_unary(harness: CommandHarness) -> None:
    first = await streamed(harness, people("ann"), people("bob"), request_id="r-1")

    again = await harness.sends.send(send_message(request_id="r-1"), people("ann", "bob"))

    assert again == first
    with pytest.raises(RequestIdReused):
        await harness.send(people("ann"), request_id="r-1")


async def test_a_unary_message_is_recognised_when_streamed(harness: CommandHarness) -> None:
    first = await harness.sends.send(send_message(request_id="r-1"), people("ann", "bob"))

    again = await streamed(harness, people("ann"), people("bob"), request_id="r-1")

    assert again == first
    with pytest.raises(RequestIdReused):
        await streamed(harness, people("ann"), request_id="r-1")


async def test_a_repeat_is_answered_with_the_current_message(harness: CommandHarness) -> None:
    first = await streamed(harness, people("ann"), request_id="r-1")
    await harness.deliver(first.message.message_id, {"ann": SENT})

    again = await streamed(harness, people("ann"), request_id="r-1")

    assert again.message == await harness.row(first.message.message_id)


# Dry runs


async def test_a_dry_run_reads_all_parts_and_changes_nothing(harness: CommandHarness) -> None:
    before = await harness.contents()

    answer = await streamed(harness, crowd(1_500), crowd(10), validate_only=True, request_id="r-1")

    assert await harness.contents() == before
    assert (answer.message.message_id, answer.message.total, answer.duplicates_dropped) == ("", 1_500, 10)
