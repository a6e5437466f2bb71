"""Watching a message: a snapshot at once, then changes, until it is done; many watchers cost one read."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from domain.delivery import DeliveryStatus
from domain.errors import MessageNotFound, Unavailable
from domain.fault import ErrorType
from projections.sql import Sql
from server.log.commit import EventLog
from server.log.sqlite_store import SqliteStore
from server.log.store_log import StoreLog
from server.watching.progress import Progress
from server.watching.progress_hub import ProgressHub
from tests.builders import FAILED, OWNER, auto, crowd, people, wall_clock
from tests.server.commands.desk import Desk
from tests.waiting import eventually

T = TypeVar("T")

NEVER = timedelta(hours=1)  # no heartbeat within a test
SOON = timedelta(seconds=0.05)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with StoreLog(SqliteStore(tmp_path / "redrive.db")) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


class CountingLog:
    """Counts what is read through it, and can hold it up or break it."""

    def __init__(self, log: EventLog) -> None:
        self._read = log.read
        self.commit, self.load, self.listen = log.commit, log.load, log.listen
        self.reads = 0
        self.before_read: Callable[[], Awaitable[None]] | None = None

    async def read(self, query: Callable[[Sql], T]) -> T:
        self.reads += 1
        if self.before_read is not None:
            await self.before_read()
        return await self._read(query)


@pytest.fixture
def log(desk: Desk) -> CountingLog:
    return CountingLog(desk.log)


@pytest.fixture
def hub(log: CountingLog) -> ProgressHub:
    return ProgressHub(log, wall_clock, NEVER)


@asynccontextmanager
async def watching(hub: ProgressHub, message_id: str) -> AsyncIterator[AsyncIterator[Progress]]:
    """A watch that ends with the block."""
    watch = hub.watch(OWNER, message_id)
    assert isinstance(watch, AsyncGenerator)
    async with aclosing(watch):
        yield watch


async def next_of(watch: AsyncIterator[Progress]) -> Progress:
    async with asyncio.timeout(5):
        return await anext(watch)


async def all_of(watch: AsyncIterator[Progress]) -> list[Progress]:
    async with asyncio.timeout(10):
        return [progress async for progress in watch]


def sent(progress: Progress) -> int:
    return progress.message.counts[DeliveryStatus.SENT]


# What is seen


async def test_a_watcher_sees_at_once_how_things_stand(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann", "bob"))

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert progress.message == await desk.row(message_id)
    assert progress.sequence == progress.message.sequence
    assert (progress.error_types, progress.messages_per_second, progress.eta) == ({}, 0.0, None)


async def test_a_watcher_sees_a_change_within_a_quarter_of_a_second(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann", "bob"))
    async with watching(hub, message_id) as watch:
        before = await next_of(watch)

        await desk.deliver(message_id, {"ann": FAILED})
        async with asyncio.timeout(0.25):
            after = await anext(watch)

    assert after.sequence > before.sequence
    assert (sent(before), sent(after)) == (0, 1)
    assert after.error_types == {ErrorType.NETWORK: 1}


async def test_a_watch_ends_with_the_message(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann"))
    seeing = asyncio.create_task(all_of(hub.watch(OWNER, message_id)))
    await desk.deliver(message_id, {})
    await desk.complete(message_id)

    seen = await seeing

    assert seen[-1].message == await desk.row(message_id)
    assert seen[-1].message.completed
    assert not any(progress.message.completed for progress in seen[:-1])


async def test_the_watch_of_a_message_that_is_done_is_one_look(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.sent({"ann": FAILED})

    (progress,) = await all_of(hub.watch(OWNER, message_id))

    assert progress.message.status == "FAILED"


async def test_a_watch_shows_the_round_of_a_message_that_was_opened_again(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=auto())
    await desk.resend(message_id)

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert (progress.message.round, progress.message.completed) == (1, False)


async def test_the_rate_and_the_time_that_is_left_are_told(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(300))
    async with watching(hub, message_id) as watch:
        await next_of(watch)
        first, *_ = await desk.open_batches(message_id)
        await desk.deliver_batch(first)

        progress = await next_of(watch)

    assert progress.messages_per_second > 0
    assert progress.eta is not None
    assert progress.eta.total_seconds() == pytest.approx(200 / progress.messages_per_second, rel=1e-3)


async def test_sequences_only_grow(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(500))
    seeing = asyncio.create_task(all_of(hub.watch(OWNER, message_id)))
    for row in await desk.open_batches(message_id):
        await desk.deliver_batch(row)
    await desk.complete(message_id)

    sequences = [progress.sequence for progress in await seeing]

    assert sequences == sorted(set(sequences))


async def test_an_idle_watch_is_shown_the_latest_again(desk: Desk, log: CountingLog) -> None:
    message_id = await desk.send(people("ann"))
    async with watching(ProgressHub(log, wall_clock, SOON), message_id) as watch:
        seen = [await next_of(watch) for _ in range(4)]

    assert len({progress.sequence for progress in seen}) == 1
    assert [progress.time for progress in seen] == sorted({progress.time for progress in seen})


async def test_a_first_look_that_takes_longer_than_the_heartbeat_is_shown_all_the_same(
    desk: Desk, log: CountingLog
) -> None:
    message_id = await desk.send(people("ann"))

    async def take_time() -> None:
        await asyncio.sleep(0.1)  # stands for a busy database

    log.before_read = take_time
    async with watching(ProgressHub(log, wall_clock, timedelta(seconds=0.01)), message_id) as watch:
        progress = await next_of(watch)

    assert progress.message.message_id == message_id


async def test_a_slow_watcher_skips_to_the_latest(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(600))
    async with watching(hub, message_id) as watch, watching(hub, message_id) as quick:
        await next_of(watch)
        for row in await desk.open_batches(message_id):
            await desk.deliver_batch(row)
        while sent(await next_of(quick)) < 600:
            pass

        assert sent(await next_of(watch)) == 600


# What it costs


async def test_many_watchers_cost_one_read_per_change(desk: Desk, log: CountingLog, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(300))
    async with AsyncExitStack() as stack:
        watches = [await stack.enter_async_context(watching(hub, message_id)) for _ in range(50)]
        for watch in watches:
            await next_of(watch)
        before = log.reads

        for row in await desk.open_batches(message_id):
            await desk.deliver_batch(row)
            seen = await asyncio.gather(*map(next_of, watches))
            assert len({progress.sequence for progress in seen}) == 1

    assert log.reads - before == 3


async def test_a_message_that_nobody_watches_costs_nothing(desk: Desk, log: CountingLog, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann"))
    async with watching(hub, message_id) as watch:
        await next_of(watch)
    before = log.reads

    await desk.deliver(message_id, {})

    assert (log.reads, hub._topics) == (before, {})


async def test_other_messages_do_not_wake_a_watcher(desk: Desk, log: CountingLog, hub: ProgressHub) -> None:
    watched, other = await desk.send(people("ann")), await desk.send(people("ann"))
    async with watching(hub, watched) as watch:
        await next_of(watch)
        before = log.reads

        await desk.deliver(other, {})
        await desk.deliver(watched, {})
        await next_of(watch)

    assert log.reads - before == 1


async def test_a_watcher_who_goes_away_leaves_the_others_watching(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann"))
    async with watching(hub, message_id) as staying:
        await next_of(staying)
        async with watching(hub, message_id) as going:
            await next_of(going)

        await desk.deliver(message_id, {})

        assert sent(await next_of(staying)) == 1


# What goes wrong


@pytest.mark.parametrize("owner", [OWNER, "somebody else"])
async def test_a_message_that_is_not_the_callers_cannot_be_watched(desk: Desk, hub: ProgressHub, owner: str) -> None:
    theirs = "no such message" if owner == OWNER else await desk.send(people("ann"))

    with pytest.raises(MessageNotFound):
        await all_of(hub.watch(owner, theirs))


async def test_an_outage_ends_every_watch_and_the_next_one_sees_again(
    desk: Desk, log: CountingLog, hub: ProgressHub
) -> None:
    message_id = await desk.send(people("ann"))
    watches: Sequence[AsyncIterator[Progress]] = [hub.watch(OWNER, message_id) for _ in range(3)]
    for watch in watches:
        await next_of(watch)

    async def fail() -> None:
        raise Unavailable("away", timedelta(seconds=1))

    log.before_read = fail
    await desk.deliver(message_id, {})
    ends = await asyncio.gather(*map(next_of, watches), return_exceptions=True)
    log.before_read = None

    assert {type(end) for end in ends} == {Unavailable}
    await eventually(lambda: _is_unwatched(hub))
    async with watching(hub, message_id) as watch:
        assert sent(await next_of(watch)) == 1


async def _is_unwatched(hub: ProgressHub) -> bool:
    return not hub._topics
