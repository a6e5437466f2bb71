"""A duplicate recipient in a stream is sent to once; each database finds earlier parts' recipients."""

import random
from collections.abc import AsyncIterator, Sequence

import pytest

from domain.commands import Recipient
from server.commands.send import SendAnswer
from server.eventstore.event_store import EventStore
from tests.builders import crowd, people, send_message
from tests.databases import opened
from tests.server.commands.command_harness import CommandHarness


@pytest.fixture
async def harness(database_url: str) -> AsyncIterator[CommandHarness]:
    async with EventStore(opened(database_url)) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


async def streamed(harness: CommandHarness, parts: Sequence[Sequence[Recipient]]) -> SendAnswer:
    stream = await harness.streams.open(send_message())
    for part in parts:
        await stream.add(part)
    return await stream.submit()


def split(recipients: Sequence[Recipient], chance: random.Random) -> list[Sequence[Recipient]]:
    """Split the recipients into parts of very different sizes."""
    parts = []
    while recipients:
        size = chance.choice([1, 99, 700, 1_000, 2_300])
        parts.append(recipients[:size])
        recipients = recipients[size:]
    return parts


@pytest.mark.parametrize("seed", range(4))
async def test_every_recipient_is_taken_once_in_order_for_any_split(harness: CommandHarness, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    ids = [
        f"{prefix}{chance.randrange(3_000)}" for prefix in ("0", "é", "'") for _ in range(chance.choice([400, 1_500]))
    ]

    answer = await streamed(harness, split(people(*ids), chance))

    once = list(dict.fromkeys(ids))
    message_id = answer.message.message_id
    assert (answer.message.total, answer.duplicates_dropped) == (len(once), len(ids) - len(once))
    assert await harness.taken(message_id, round_=0) == once
    assert all(batch.total == 100 for batch in (await harness.batches(message_id))[:-1])


async def test_a_stream_whose_later_parts_are_duplicates_has_the_recipients_of_its_first_part(
    harness: CommandHarness,
) -> None:
    answer = await streamed(harness, [*[crowd(1_000)] * 3, people("u00000")])

    assert (answer.message.total, answer.message.batches_total, answer.duplicates_dropped) == (1_000, 10, 2_001)
