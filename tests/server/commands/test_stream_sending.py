"""SendStream: recipients come in parts; all of them become one message, or nothing is left."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from domain.errors import Aborted, PageNotRegistered, RequestIdReused, StreamInProgress
from domain.recipient import Recipient
from projections import batches
from server.commands.send import SendAnswer
from server.commands.send_stream import RecipientStream, abandon_staged
from tests.builders import NOW, SENT, crowd, people, send_message
from tests.contents import contents
from tests.server.commands.desk import Desk


async def opened(desk: Desk, *parts: Sequence[Recipient], **fields: Any) -> RecipientStream:
    stream = await desk.streams.open(send_message(**fields))
    for part in parts:
        await stream.add(part)
    return stream


async def streamed(desk: Desk, *parts: Sequence[Recipient], **fields: Any) -> SendAnswer:
    return await (await opened(desk, *parts, **fields)).submit()


def parts_of(recipients: Sequence[Recipient], size: int) -> list[Sequence[Recipient]]:
    return [recipients[start : start + size] for start in range(0, len(recipients), size)]


async def test_parts_become_one_message_in_full_batches(desk: Desk) -> None:
    answer = await streamed(desk, *parts_of(crowd(2_350), 700), title="Streamed")

    message_id = answer.message.message_id
    assert (answer.message.total, answer.message.batches_total) == (2_350, 24)
    assert [batch.total for batch in await desk.batches(message_id)] == [100] * 23 + [50]
    assert await desk.taken(message_id, round_=0) == [who.id for who in crowd(2_350)]


async def test_nothing_is_seen_or_sent_before_the_last_part_was_accepted(desk: Desk) -> None:
    stream = await opened(desk, crowd(1_500))

    assert await desk.messages() == []
    assert await desk.log.read(batches.pages_with_work) == []

    await stream.submit()

    assert [message.total for message in await desk.messages()] == [1_500]
    assert await desk.log.read(batches.pages_with_work) == ["1001"]


async def test_who_stands_in_two_parts_is_sent_to_once(desk: Desk) -> None:
    answer = await streamed(desk, crowd(1_200), crowd(1_300), people("ann"))

    assert (answer.message.total, answer.duplicates_dropped) == (1_301, 1_200)


async def test_variables_of_every_part_are_kept(desk: Desk) -> None:
    hundreds = [Recipient(id=f"{n:04}", variables={"n": str(n)}) for n in range(1_150)]

    answer = await streamed(desk, hundreds[:40], hundreds[40:], text="{{n}}")

    kept = [
        variables["n"]
        for created in await desk.created(answer.message.message_id, round_=0)
        for variables in await desk.variables(created)
    ]
    assert kept == [str(n) for n in range(1_150)]


async def test_a_streamed_message_is_sent_and_resent_like_any_other(desk: Desk) -> None:
    message_id = (await streamed(desk, crowd(150))).message.message_id

    await desk.deliver(message_id, {})

    assert await desk.counts(message_id) == {"SENT": 150}


async def test_a_stream_for_an_unknown_page_is_refused_at_once(desk: Desk) -> None:
    with pytest.raises(PageNotRegistered):
        await desk.streams.open(send_message(page_id="2002"))


# Streams that break off


async def test_a_stream_that_broke_off_leaves_nothing_to_see(desk: Desk) -> None:
    stream = await opened(desk, crowd(1_500), request_id="r-1")

    await stream.abandon("the caller hung up")

    assert await desk.messages() == []
    kept = await desk.log.read(contents)
    assert {name for name, rows in kept.items() if rows} == {"pages"}


async def test_after_a_stream_broke_off_the_request_can_be_streamed_again(desk: Desk) -> None:
    await (await opened(desk, crowd(1_500), request_id="r-1")).abandon("the caller hung up")

    answer = await streamed(desk, crowd(1_200, "v"), request_id="r-1")

    assert answer.message.total == 1_200
    assert await desk.taken(answer.message.message_id, round_=0) == [who.id for who in crowd(1_200, "v")]
    await desk.deliver(answer.message.message_id, {})
    assert await desk.counts(answer.message.message_id) == {"SENT": 1_200}


async def test_after_a_stream_broke_off_the_request_can_be_sent_in_one(desk: Desk) -> None:
    await (await opened(desk, crowd(1_500), request_id="r-1")).abandon("the caller hung up")

    message_id = await desk.send(people("ann"), request_id="r-1")

    assert (await desk.row(message_id)).total == 1


async def test_what_was_given_up_takes_no_more_recipients(desk: Desk) -> None:
    stream = await opened(desk, people("ann"), request_id="r-1")
    await stream.abandon("the worker was lost")

    with pytest.raises(Aborted):
        await stream.add(crowd(1_000))
    with pytest.raises(Aborted):
        await stream.submit()

    assert await desk.messages() == []


async def test_a_stream_that_was_taken_over_adds_nothing_to_its_successor(desk: Desk) -> None:
    """Its worker was thought to be lost, the caller came back, and then it wakes up."""
    sleeper = await opened(desk, crowd(1_000, "old"), request_id="r-1")
    message_id = (await desk.log.read(lambda sql: sql.rows("SELECT message_id FROM messages")))[0]["message_id"]
    assert await abandon_staged(desk.log, message_id, "the worker was lost", NOW)
    successor = await opened(desk, people("new"), request_id="r-1")

    with pytest.raises(Aborted):
        await sleeper.add(crowd(1_000, "older"))
    answer = await successor.submit()

    assert answer.message.total == 1
    assert await desk.taken(message_id, round_=0) == ["new"]


async def test_giving_up_what_was_submitted_changes_nothing(desk: Desk) -> None:
    stream = await opened(desk, people("ann"))
    answer = await stream.submit()

    await stream.abandon("too late")

    assert await desk.row(answer.message.message_id) == answer.message


# The same request again


async def test_while_a_stream_is_open_the_same_request_has_to_wait(desk: Desk) -> None:
    await opened(desk, people("ann"), request_id="r-1")

    with pytest.raises(StreamInProgress):
        await desk.streams.open(send_message(request_id="r-1"))
    with pytest.raises(Aborted):
        await desk.send(people("ann"), request_id="r-1")


async def test_of_two_streams_that_open_at_once_one_has_to_wait(desk: Desk) -> None:
    command = send_message(request_id="r-1")

    results = await asyncio.gather(*(desk.streams.open(command) for _ in range(2)), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["StagedStream", "StreamInProgress"]


async def test_a_repeated_stream_gets_the_first_answer(desk: Desk) -> None:
    first = await streamed(desk, crowd(120), crowd(5), request_id="r-1")
    before = await desk.contents()

    again = await streamed(desk, *parts_of([*crowd(120), *crowd(5)], 7), request_id="r-1")

    assert again == first
    assert again.duplicates_dropped == 5
    assert await desk.contents() == before


async def test_a_repeated_stream_of_other_recipients_is_refused(desk: Desk) -> None:
    await streamed(desk, people("ann"), request_id="r-1")

    with pytest.raises(RequestIdReused):
        await streamed(desk, people("bob"), request_id="r-1")


async def test_what_was_streamed_is_recognised_when_it_is_sent_in_one(desk: Desk) -> None:
    first = await streamed(desk, people("ann"), people("bob"), request_id="r-1")

    again = await desk.sends.send(send_message(request_id="r-1"), people("ann", "bob"))

    assert again == first
    with pytest.raises(RequestIdReused):
        await desk.send(people("ann"), request_id="r-1")


async def test_what_was_sent_in_one_is_recognised_when_it_is_streamed(desk: Desk) -> None:
    first = await desk.sends.send(send_message(request_id="r-1"), people("ann", "bob"))

    again = await streamed(desk, people("ann"), people("bob"), request_id="r-1")

    assert again == first
    with pytest.raises(RequestIdReused):
        await streamed(desk, people("ann"), request_id="r-1")


async def test_a_repeat_is_answered_with_the_message_as_it_is_now(desk: Desk) -> None:
    first = await streamed(desk, people("ann"), request_id="r-1")
    await desk.deliver(first.message.message_id, {"ann": SENT})

    again = await streamed(desk, people("ann"), request_id="r-1")

    assert again.message == await desk.row(first.message.message_id)


# Dry runs


async def test_a_dry_run_reads_to_the_end_and_changes_nothing(desk: Desk) -> None:
    before = await desk.contents()

    answer = await streamed(desk, crowd(1_500), crowd(10), validate_only=True, request_id="r-1")

    assert await desk.contents() == before
    assert (answer.message.message_id, answer.message.total, answer.duplicates_dropped) == ("", 1_500, 10)
