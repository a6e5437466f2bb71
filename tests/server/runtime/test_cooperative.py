"""Long work yields to other tasks."""

import asyncio
from collections.abc import Iterator

from server.runtime.cooperative import SLICE, slices, yield_between


def test_slices_contain_every_item_once_in_order() -> None:
    items = range(2 * SLICE + 1)

    assert [len(some) for some in slices(items)] == [SLICE, SLICE, 1]
    assert [item for some in slices(items) for item in some] == list(items)
    assert list(slices([])) == []


async def test_waiting_tasks_run_between_two_steps() -> None:
    done: list[str] = []

    def steps() -> Iterator[int]:
        for number in range(3):
            done.append(f"step {number}")
            yield number

    async def other_work() -> None:
        while len(done) < 5:
            done.append("other work")
            await asyncio.sleep(0)

    other = asyncio.create_task(other_work())
    assert [step async for step in yield_between(steps())] == [0, 1, 2]
    await other

    assert done == ["step 0", "step 1", "other work", "step 2", "other work"]


async def test_a_single_step_does_not_yield() -> None:
    others = asyncio.create_task(asyncio.sleep(0))

    assert [step async for step in yield_between(["only"])] == ["only"]

    assert not others.done()
    await others
