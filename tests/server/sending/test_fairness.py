"""Pages share the process fairly: whoever has very many waiting delays others by less than a second."""

import time
from collections.abc import AsyncIterator

import pytest

from domain.delivery import DeliveryStatus
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from server.sending.concurrency_limiter import ALL_SLOTS, PAGE_SLOTS
from tests.builders import crowd
from tests.e2e.processes import running_sandbox_process
from tests.server.sending.works import Works
from tests.waiting import eventually

UNPACED = 100_000.0  # messages per second
SMALL = "2002"  # a page that sends to a hundred people now and then


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A process of its own: its work is not to delay what is measured."""
    async with running_sandbox_process() as process:
        yield Sandbox(process.graph_url, process.control)


async def seconds_for_a_hundred(works: Works) -> float:
    """From the call until all is done, on the small page."""
    started = time.monotonic()
    await works.done(await works.send(crowd(100), page_id=SMALL), within=30.0)
    return time.monotonic() - started


async def busy_pages(works: Works, *pages: str, each: int) -> list[str]:
    """Pages that are at work on a message to so many people each; the messages' ids."""
    for page in pages:
        await works.put_page(page, pace=UNPACED)
    ids = [await works.send(crowd(each), page_id=page) for page in pages]
    await eventually(lambda: waiting(works, ids), lambda counts: max(counts) < each)
    return ids


async def waiting(works: Works, ids: list[str]) -> list[int]:
    """How many people wait for each message."""
    return [(await works.row(message_id)).counts[DeliveryStatus.PENDING] for message_id in ids]


async def test_a_page_with_very_many_waiting_delays_anothers_hundred_by_less_than_a_second(works: Works) -> None:
    await works.put_page(SMALL, pace=UNPACED)
    alone = await seconds_for_a_hundred(works)
    ids = await busy_pages(works, "3000", each=10_000)

    beside = await seconds_for_a_hundred(works)

    assert min(await waiting(works, ids)) > 0
    assert beside < alone + 1.0


async def test_ten_pages_that_take_up_all_requests_delay_anothers_hundred_by_less_than_a_second(
    works: Works, control: SandboxControl
) -> None:
    await control.order({"effect": {"kind": "delay", "seconds": 0.25}})
    await works.put_page(SMALL, pace=UNPACED)
    alone = await seconds_for_a_hundred(works)
    pages = [f"30{number:02}" for number in range(10)]
    assert len(pages) * PAGE_SLOTS > ALL_SLOTS
    ids = await busy_pages(works, *pages, each=1_500)

    beside = [await seconds_for_a_hundred(works) for _ in range(2)]

    assert min(await waiting(works, ids)) > 0
    assert min(beside) < alone + 1.0, "the better of two, for the sake of busy machines"
