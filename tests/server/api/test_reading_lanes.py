"""Read lanes and the byte budget: callers take turns, and none uses everything."""

import asyncio

import pytest

from server.api.interceptors.byte_budget import MAX_WAITING as MAX_WAITING_BYTES
from server.api.interceptors.byte_budget import ByteBudget, TooManyBytes
from server.api.interceptors.reading_lanes import MAX_WAITING, LaneLimits, Lanes, ReadingRefused
from tests.waiting import eventually

NARROW = LaneLimits(lanes=2, per_caller=1, slow_lanes=1, slow_per_caller=1, check_seconds=0.02)


async def test_one_caller_does_not_use_all_lanes() -> None:
    lanes = Lanes(NARROW)
    first = await lanes.acquire("one")
    second = asyncio.ensure_future(lanes.acquire("one"))
    await asyncio.sleep(0)

    await asyncio.wait_for(lanes.acquire("other"), 1)

    assert not second.done()
    lanes.release(first)
    assert (await second).key == "one"


async def test_a_slow_read_moves_to_a_slow_lane_and_the_next_one_is_ended() -> None:
    lanes = Lanes(NARROW)

    first, second = [await lanes.acquire("one") for _ in range(2)]
    third = asyncio.ensure_future(lanes.acquire("one"))

    async def is_ended() -> bool:
        return second.was_stopped

    await eventually(is_ended)
    lanes.release(second)  # as its reader does then

    assert (first.is_slow, first.was_stopped) == (True, False)
    assert (await asyncio.wait_for(third, 1)).was_stopped is False


async def test_a_read_keeps_its_lane_while_no_other_waits() -> None:
    lanes = Lanes(NARROW)
    lane = await lanes.acquire("one")

    await asyncio.sleep(3 * NARROW.check_seconds)

    assert (lane.is_slow, lane.was_stopped) == (False, False)


async def test_callers_get_lanes_in_turn() -> None:
    lanes, order = Lanes(LaneLimits(lanes=1, per_caller=1, check_seconds=60)), []
    held = await lanes.acquire("first")

    async def read(key: str) -> None:
        lane = await lanes.acquire(key)
        order.append(key)
        lanes.release(lane)

    reads = [asyncio.ensure_future(read(key)) for key in ("a", "a", "a", "b")]
    await asyncio.sleep(0)
    lanes.release(held)
    await asyncio.gather(*reads)

    assert order == ["a", "b", "a", "a"]


async def test_a_cancelled_waiting_read_leaves_its_lane_to_the_next() -> None:
    lanes = Lanes(LaneLimits(lanes=1, per_caller=1, check_seconds=60))
    held = await lanes.acquire("a")
    cancelled, waiting = (asyncio.ensure_future(lanes.acquire(key)) for key in ("b", "c"))
    await asyncio.sleep(0)

    lanes.release(held)  # to b, which is cancelled before it runs
    cancelled.cancel()

    assert (await asyncio.wait_for(waiting, 1)).key == "c"


async def test_a_cancelled_read_at_the_head_of_the_queue_is_skipped() -> None:
    lanes = Lanes(LaneLimits(lanes=1, per_caller=1, check_seconds=60))
    held = await lanes.acquire("a")
    cancelled, waiting = (asyncio.ensure_future(lanes.acquire(key)) for key in ("b", "c"))
    await asyncio.sleep(0)

    cancelled.cancel()
    lanes.release(held)

    assert (await asyncio.wait_for(waiting, 1)).key == "c"


async def test_the_number_of_waiting_reads_per_caller_is_limited() -> None:
    lanes = Lanes(LaneLimits(lanes=1, per_caller=1, check_seconds=60))
    await lanes.acquire("one")
    waiting = [asyncio.ensure_future(lanes.acquire("one")) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(ReadingRefused):
        await lanes.acquire("one")
    for one in waiting:
        one.cancel()


async def test_a_request_waits_until_its_bytes_fit() -> None:
    budget = ByteBudget(100)
    await budget.acquire("one", 100, 10)
    waiting = asyncio.ensure_future(budget.acquire("one", 50, 10))
    await asyncio.sleep(0)

    await asyncio.wait_for(budget.acquire("other", 50, 10), 1)  # half of a largest request is reserved for others

    assert not waiting.done()
    budget.release("one", 100)
    await asyncio.wait_for(waiting, 1)


async def test_the_bytes_of_waiting_requests_are_limited() -> None:
    budget = ByteBudget(100)
    await budget.acquire("one", 100, 10)
    waiting = asyncio.ensure_future(budget.acquire("one", 100, 50))
    await asyncio.sleep(0)

    with pytest.raises(TooManyBytes):
        await budget.acquire("one", 100, 1)

    waiting.cancel()
    await asyncio.wait((waiting,))
    small = [asyncio.ensure_future(budget.acquire("one", 100, 0)) for _ in range(MAX_WAITING_BYTES)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyBytes):
        await budget.acquire("one", 100, 0)
    for one in small:
        one.cancel()


async def test_a_cancelled_request_returns_its_bytes() -> None:
    budget = ByteBudget(100)
    await budget.acquire("one", 100, 0)
    cancelled, waiting = (asyncio.ensure_future(budget.acquire("one", 100, 0)) for _ in range(2))
    await asyncio.sleep(0)

    budget.release("one", 100)
    cancelled.cancel()

    await asyncio.wait_for(waiting, 1)
