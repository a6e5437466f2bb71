"""Limits on requests in flight per page and per process; each page gets its share."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from random import Random

import pytest

from server.sending.concurrency_limiter import FairConcurrencyLimiter


@pytest.fixture
def halt() -> asyncio.Event:
    return asyncio.Event()


class Queue:
    """Waits for slots in tasks, in the order of the calls; records who got one."""

    def __init__(self, halt: asyncio.Event) -> None:
        self._halt = halt
        self.tasks: dict[str, asyncio.Task[bool]] = {}

    async def request(
        self, name: str, limiter: FairConcurrencyLimiter, within: float = float("inf")
    ) -> asyncio.Task[bool]:
        self.tasks[name] = asyncio.create_task(limiter.acquire(self._halt, within=within), name=name)
        await asyncio.sleep(0)
        return self.tasks[name]

    async def served(self) -> list[str]:
        """Return the names that got a slot so far."""
        await asyncio.sleep(0)
        return [name for name, task in self.tasks.items() if task.done() and not task.cancelled() and task.result()]


@pytest.fixture
async def queue(halt: asyncio.Event) -> AsyncIterator[Queue]:
    queue = Queue(halt)
    yield queue
    for task in queue.tasks.values():
        task.cancel()
    await asyncio.gather(*queue.tasks.values(), return_exceptions=True)


async def fill(limiter: FairConcurrencyLimiter, count: int) -> None:
    for _ in range(count):
        assert await limiter.acquire(asyncio.Event())


async def test_a_free_slot_is_taken_without_a_wait(halt: asyncio.Event) -> None:
    take = FairConcurrencyLimiter(1, FairConcurrencyLimiter(1)).acquire(halt, within=1.0)

    with pytest.raises(StopIteration) as end:
        take.send(None)

    assert end.value.value is True


async def test_a_page_has_at_most_its_slots_in_flight(halt: asyncio.Event) -> None:
    page = FairConcurrencyLimiter(2, FairConcurrencyLimiter(10))
    await fill(page, 2)

    assert not page.has_capacity
    assert not await page.acquire(halt, within=0.01)


async def test_all_pages_together_have_at_most_the_slots_of_the_process(halt: asyncio.Event) -> None:
    whole = FairConcurrencyLimiter(3)
    pages = [FairConcurrencyLimiter(2, whole) for _ in range(2)]
    await fill(pages[0], 2)
    await fill(pages[1], 1)

    assert [page.has_capacity for page in pages] == [False, False]
    assert not await pages[1].acquire(halt, within=0.01)


async def test_the_first_in_the_queue_gets_the_next_slot(queue: Queue) -> None:
    page = FairConcurrencyLimiter(1, FairConcurrencyLimiter(10))
    await fill(page, 1)
    for name in ("first", "second"):
        await queue.request(name, page)

    page.release()

    assert await queue.served() == ["first"]
    assert not page.has_capacity


async def test_the_page_with_the_fewest_requests_in_flight_gets_the_next_slot(queue: Queue) -> None:
    whole = FairConcurrencyLimiter(6)
    busy, quiet = FairConcurrencyLimiter(6, whole), FairConcurrencyLimiter(6, whole)
    await fill(busy, 5)
    await fill(quiet, 1)
    for number in range(4):
        await queue.request(f"busy {number}", busy)
    for number in range(3):
        await queue.request(f"quiet {number}", quiet)

    for _ in range(2):
        busy.release()

    assert await queue.served() == ["quiet 0", "quiet 1"]
    assert (busy.in_flight, quiet.in_flight) == (3, 3)


async def test_a_page_with_all_its_slots_leaves_the_next_one_to_others(queue: Queue) -> None:
    whole = FairConcurrencyLimiter(6)
    small, other, large = (
        FairConcurrencyLimiter(1, whole),
        FairConcurrencyLimiter(6, whole),
        FairConcurrencyLimiter(6, whole),
    )
    await fill(small, 1)
    await fill(other, 2)
    await fill(large, 3)
    await queue.request("small", small)
    await queue.request("other", other)
    await queue.request("large", large)

    large.release()

    assert await queue.served() == ["other"]


async def test_a_spare_slot_of_the_process_goes_to_the_page_that_returned_one(queue: Queue) -> None:
    whole = FairConcurrencyLimiter(10)
    pages = [FairConcurrencyLimiter(1, whole) for _ in range(2)]
    for number, page in enumerate(pages):
        await fill(page, 1)
        await queue.request(f"page {number}", page)

    pages[1].release()

    assert await queue.served() == ["page 1"]


async def test_a_halt_ends_the_wait(halt: asyncio.Event, queue: Queue) -> None:
    page = FairConcurrencyLimiter(1, FairConcurrencyLimiter(1))
    await fill(page, 1)
    waiting = await queue.request("waiting", page)

    halt.set()

    assert not await asyncio.wait_for(waiting, 1.0)


async def test_after_a_halt_no_slot_is_taken(halt: asyncio.Event) -> None:
    page = FairConcurrencyLimiter(1, FairConcurrencyLimiter(1))
    halt.set()

    assert not await page.acquire(halt)
    assert page.has_capacity


async def test_a_wait_ends_without_a_slot_after_its_limit(queue: Queue) -> None:
    page = FairConcurrencyLimiter(1, FairConcurrencyLimiter(1))
    await fill(page, 1)

    assert not await asyncio.wait_for(await queue.request("hasty", page, within=0.02), 1.0)

    patient = await queue.request("patient", page)
    page.release()
    assert await asyncio.wait_for(patient, 1.0)


async def test_the_slot_of_a_cancelled_waiter_goes_to_the_next(queue: Queue) -> None:
    page = FairConcurrencyLimiter(1, FairConcurrencyLimiter(1))
    await fill(page, 1)
    gone = await queue.request("gone", page)
    await queue.request("next", page)

    gone.cancel()
    page.release()  # before the cancelled task runs

    assert await queue.served() == ["next"]


async def test_a_slot_is_not_lost_when_its_taker_is_cancelled(queue: Queue) -> None:
    whole = FairConcurrencyLimiter(1)
    page = FairConcurrencyLimiter(1, whole)
    await fill(page, 1)
    gone = await queue.request("gone", page)

    page.release()
    gone.cancel()
    await asyncio.wait([gone])

    assert gone.cancelled()
    assert (page.in_flight, whole.in_flight) == (0, 0)


async def test_a_new_page_gets_its_share_as_soon_as_others_return_slots(queue: Queue) -> None:
    whole = FairConcurrencyLimiter(480)
    busy = [FairConcurrencyLimiter(64, whole) for _ in range(20)]
    for page in busy:
        await fill(page, 24)
    for number, page in enumerate(busy):
        await queue.request(f"busy {number}", page)
    newcomer = FairConcurrencyLimiter(64, whole)

    for number in range(20):
        await queue.request(f"new {number}", newcomer)
    for page in busy:
        page.release()

    assert sum(name.startswith("new") for name in await queue.served()) == 20


async def test_slots_are_never_lost_or_taken_twice() -> None:
    chance = Random(5)  # noqa: S311 not a secret
    whole = FairConcurrencyLimiter(7)
    pages = [FairConcurrencyLimiter(3, whole) for _ in range(5)]
    most: Counter[str] = Counter()

    async def work(page: FairConcurrencyLimiter, halt: asyncio.Event) -> None:
        for _ in range(20):
            if not await page.acquire(halt, within=chance.choice([0.0, 0.001, 0.01, float("inf")])):
                continue
            most["page"] = max(most["page"], page.in_flight)
            most["whole"] = max(most["whole"], whole.in_flight)
            try:
                await asyncio.sleep(chance.choice([0.0, 0.0, 0.001]))
            finally:
                page.release()

    halts = [asyncio.Event() for _ in range(60)]
    tasks = [asyncio.create_task(work(chance.choice(pages), halt)) for halt in halts]
    while pending := [number for number, task in enumerate(tasks) if not task.done()]:
        unlucky = chance.choice(pending)
        if chance.random() < 0.2:
            halts[unlucky].set()
        elif chance.random() < 0.2:
            tasks[unlucky].cancel()
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most == {"page": 3, "whole": 7}
    assert [limiter.in_flight for limiter in (whole, *pages)] == [0] * 6
