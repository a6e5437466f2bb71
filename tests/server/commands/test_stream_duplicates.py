"""Who stands in a stream more than once is sent to once; the database remembers who came before, on either one."""

import random
from collections.abc import AsyncIterator, Sequence

import pytest

from domain.recipient import Recipient
from server.commands.send import SendAnswer
from server.eventstore.event_store import EventStore
from tests.builders import crowd, people, send_message
from tests.databases import opened
from tests.server.commands.desk import Desk


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with EventStore(opened(database_url)) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


async def streamed(desk: Desk, parts: Sequence[Sequence[Recipient]]) -> SendAnswer:
    stream = await desk.streams.open(send_message())
    for part in parts:
        await stream.add(part)
    return await stream.submit()


def cut(recipients: Sequence[Recipient], chance: random.Random) -> list[Sequence[Recipient]]:
    """Into parts of very different sizes."""
    parts = []
    while recipients:
        size = chance.choice([1, 99, 700, 1_000, 2_300])
        parts.append(recipients[:size])
        recipients = recipients[size:]
    return parts


@pytest.mark.parametrize("seed", range(4))
async def test_everybody_is_taken_once_in_order_however_the_stream_is_cut(desk: Desk, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    ids = [
        f"{prefix}{chance.randrange(3_000)}" for prefix in ("0", "é", "'") for _ in range(chance.choice([400, 1_500]))
    ]

    answer = await streamed(desk, cut(people(*ids), chance))

    once = list(dict.fromkeys(ids))
    message_id = answer.message.message_id
    assert (answer.message.total, answer.duplicates_dropped) == (len(once), len(ids) - len(once))
    assert await desk.taken(message_id, round_=0) == once
    assert all(batch.total == 100 for batch in (await desk.batches(message_id))[:-1])


async def test_a_stream_of_nothing_but_repeats_is_a_message_of_its_first_part(desk: Desk) -> None:
    answer = await streamed(desk, [*[crowd(1_000)] * 3, people("u00000")])

    assert (answer.message.total, answer.message.batches_total, answer.duplicates_dropped) == (1_000, 10, 2_001)
