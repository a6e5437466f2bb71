"""Reads and failures of watching: many watchers share one read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from domain.errors import MessageNotFound, Unavailable
from server.progress.hub import ProgressHub
from server.progress.progress import Progress
from tests.builders import OWNER, crowd, people
from tests.server.commands.command_harness import CommandHarness
from tests.server.progress.watches import CountingLog, all_of, next_of, sent, watching
from tests.waiting import eventually

# Reads


async def test_many_watchers_cost_one_read_per_change(
    harness: CommandHarness, log: CountingLog, hub: ProgressHub
) -> None:
    message_id = await harness.send(crowd(300))
    async with AsyncExitStack() as stack:
        watches = [await stack.enter_async_context(watching(hub, message_id)) for _ in range(50)]
        for watch in watches:
            await next_of(watch)
        before = log.reads

        for row in await harness.open_batches(message_id):
            await harness.deliver_batch(row)
            seen = await asyncio.gather(*map(next_of, watches))
            assert len({progress.sequence for progress in seen}) == 1

    assert log.reads - before == 3


async def test_messages_that_change_at_the_same_time_are_read_together(
    harness: CommandHarness, log: CountingLog, hub: ProgressHub
) -> None:
    ids = [await harness.send(people("ann")) for _ in range(20)]
    async with AsyncExitStack() as stack:
        watches = [await stack.enter_async_context(watching(hub, message_id)) for message_id in ids]
        for watch in watches:
            await next_of(watch)
        before, all_delivered = log.reads, asyncio.Event()

        async def hold_up() -> None:
            await all_delivered.wait()

        log.before_read = hold_up  # the first change is read after all have changed
        for message_id in ids:
            await harness.deliver(message_id, {})
        all_delivered.set()

        assert [sent(await next_of(watch)) for watch in watches] == [1] * 20

    assert log.reads - before <= 2


async def test_an_unwatched_message_causes_no_reads(
    harness: CommandHarness, log: CountingLog, hub: ProgressHub
) -> None:
    message_id = await harness.send(people("ann"))
    async with watching(hub, message_id) as watch:
        await next_of(watch)
    before = log.reads

    await harness.deliver(message_id, {})

    assert (log.reads, hub._topics) == (before, {})


async def test_other_messages_do_not_wake_a_watcher(
    harness: CommandHarness, log: CountingLog, hub: ProgressHub
) -> None:
    watched, other = await harness.send(people("ann")), await harness.send(people("ann"))
    async with watching(hub, watched) as watch:
        await next_of(watch)
        before = log.reads

        await harness.deliver(other, {})
        await harness.deliver(watched, {})
        await next_of(watch)

    assert log.reads - before == 1


async def test_a_watcher_that_leaves_does_not_affect_the_others(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(people("ann"))
    async with watching(hub, message_id) as staying:
        await next_of(staying)
        async with watching(hub, message_id) as going:
            await next_of(going)

        await harness.deliver(message_id, {})

        assert sent(await next_of(staying)) == 1


# Failures


@pytest.mark.parametrize("owner", [OWNER, "another owner"])
async def test_a_message_of_another_owner_cannot_be_watched(
    harness: CommandHarness, hub: ProgressHub, owner: str
) -> None:
    theirs = "no such message" if owner == OWNER else await harness.send(people("ann"))

    with pytest.raises(MessageNotFound):
        await all_of(hub.watch(owner, theirs))


async def test_an_outage_ends_every_watch_and_the_next_watch_works(
    harness: CommandHarness, log: CountingLog, hub: ProgressHub
) -> None:
    message_id = await harness.send(people("ann"))
    watches: Sequence[AsyncIterator[Progress]] = [hub.watch(OWNER, message_id) for _ in range(3)]
    for watch in watches:
        await next_of(watch)

    async def fail() -> None:
        raise Unavailable("away", timedelta(seconds=1))

    log.before_read = fail
    await harness.deliver(message_id, {})
    ends = await asyncio.gather(*map(next_of, watches), return_exceptions=True)
    log.before_read = None

    assert {type(end) for end in ends} == {Unavailable}
    await eventually(lambda: _is_unwatched(hub))
    async with watching(hub, message_id) as watch:
        assert sent(await next_of(watch)) == 1


async def _is_unwatched(hub: ProgressHub) -> bool:
    return not hub._topics
