"""Readers are shared fairly between owners: limits, order of the queue, and refusals."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any

import pytest

from server.api.fair_reads import FairReads, TooManyReads


class Reads:
    """Reads that keep their slot until released; each is a separate call."""

    def __init__(self, slots: FairReads) -> None:
        self._slots = slots
        self.running: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, *names: str) -> None:
        """Request slots; a read's name starts with the letter of its owner."""
        for name in names:
            self._ends[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._hold(name), context=Context())
            await asyncio.sleep(0)

    async def _hold(self, name: str) -> None:
        async with self._slots.slot(name[0]):
            self.running.append(name)
            try:
                await self._ends[name].wait()
            finally:
                self.running.remove(name)

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self._tasks[name]
        await asyncio.sleep(0)

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await asyncio.gather(self._tasks[name], return_exceptions=True)

    async def refusal(self, name: str) -> BaseException | None:
        await asyncio.wait([self._tasks[name]], timeout=2)
        return self._tasks[name].exception()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


@pytest.fixture
async def reads_of() -> Any:
    made: list[Reads] = []

    def make(**options: Any) -> Reads:
        made.append(Reads(FairReads(4, **options)))
        return made[-1]

    yield make
    for reads in made:
        await reads.close()


Make = Callable[..., Reads]


async def test_an_owner_uses_half_of_the_slots_and_others_find_free_ones(reads_of: Make) -> None:
    reads = reads_of()

    await reads.begin("a1", "a2", "a3", "a4", "b1", "c1", "c2")

    assert reads.running == ["a1", "a2", "b1", "c1"]


async def test_a_free_slot_goes_to_the_owners_in_turn(reads_of: Make) -> None:
    reads = reads_of()
    await reads.begin("a1", "a2", "b1", "c1", "a3", "a4", "b2", "c2", "d1")

    await reads.end("a1")  # d has no running read
    assert reads.running == ["a2", "b1", "c1", "d1"]
    for done in ("a2", "b1", "c1", "d1"):
        await reads.end(done)

    assert reads.running == ["a3", "b2", "c2"]  # a slot stays free for one more owner


async def test_the_next_read_of_an_earlier_call_precedes_the_first_of_a_later_one() -> None:
    slots = FairReads(1)
    order: list[str] = []

    async def call(name: str) -> None:
        for part in ("first", "second"):
            async with slots.slot("a"):
                order.append(f"{name} {part}")
                await asyncio.sleep(0)

    async with slots.slot("a"):
        calls = [asyncio.create_task(call(str(number)), context=Context()) for number in range(3)]
        await asyncio.sleep(0)
    await asyncio.gather(*calls)

    assert order == ["0 first", "1 first", "0 second", "1 second", "2 first", "2 second"]


async def test_a_cancelled_read_leaves_the_queue_and_its_slot_to_others(reads_of: Make) -> None:
    reads = reads_of()
    await reads.begin("a1", "a2", "a3", "a4")

    await reads.cancel("a3")
    await reads.cancel("a1")
    await asyncio.sleep(0)

    assert reads.running == ["a2", "a4"]


async def test_a_read_cancelled_as_it_gets_its_slot_returns_it() -> None:
    slots = FairReads(1)

    async def read() -> None:
        async with slots.slot("a"):
            pass

    async with slots.slot("a"):
        waiting = asyncio.create_task(read())
        await asyncio.sleep(0)
    waiting.cancel()  # has the slot, and does not run yet
    await asyncio.gather(waiting, return_exceptions=True)

    async with asyncio.timeout(1), slots.slot("b"):
        pass


async def test_a_slot_skips_reads_that_were_just_cancelled() -> None:
    slots = FairReads(1)

    async def read() -> None:
        async with slots.slot("a"):
            pass

    async with slots.slot("a"):
        gone, next_one = (asyncio.create_task(read()) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
    ended = await asyncio.wait_for(asyncio.gather(gone, next_one, return_exceptions=True), 1)

    assert [type(one) for one in ended] == [asyncio.CancelledError, type(None)]


async def test_reads_beyond_the_queue_or_the_waiting_time_are_refused(reads_of: Make) -> None:
    short = reads_of(max_waiting=1)
    await short.begin("a1", "a2", "a3", "a4")
    quick = reads_of(max_wait_seconds=0.01)
    await quick.begin("a1", "a2", "a3")

    refusals = [await short.refusal("a4"), await quick.refusal("a3")]

    assert [type(refusal) for refusal in refusals] == [TooManyReads] * 2
    assert [str(refusal) for refusal in refusals] == [
        "more than 1 reads of the same owner are waiting",
        "the read waited 0.01 s for other reads of the same owner",
    ]
    assert short.running == quick.running == ["a1", "a2"]
