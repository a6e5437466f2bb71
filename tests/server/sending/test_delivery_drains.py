"""Processes that are told to stop, or lose their lease or a page: nothing more leaves, and the next one goes on."""

import asyncio
import queue
from pathlib import Path

import pytest

from domain.batch_events import (
    BatchReleased,
    BatchStarted,
    DeliveriesReturned,
)
from projections.batches import pages_with_work
from projections.sql import Sql
from server.cluster.page_assignment import PageShare, share_of
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from server.sending import dispatcher
from tests.builders import crowd, people
from tests.server.sending.works import Works, open_works
from tests.waiting import eventually

SLOW = {"effect": {"kind": "delay", "seconds": 0.4}}


# The process is told to stop


async def test_a_drain_lets_nothing_more_leave_and_the_next_process_goes_on(database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as works:
        await works.put_page(pace=40.0)
        await works.start()
        message_id = await works.send(crowd(60))
        await works.arrived(5)

        await works.drain()

        arrived = len(await works.arrivals())
        assert arrived < 60
        assert await works.counts(message_id) == {"SENT": arrived, "PENDING": 60 - arrived}
        (batch,) = await works.batches(message_id)
        assert batch.status == "PENDING"
        assert isinstance((await works.events(message_id, BatchReleased, 1))[-1], BatchReleased)

    async with open_works(database, sandbox, worker="worker-2") as works:
        await works.put_page(access_token="")
        await works.start()
        assert (await works.done(message_id)).status == "SENT"
        assert await works.accepted() == {who.id: 1 for who in crowd(60)}


async def test_a_drain_waits_for_what_is_on_its_way(works: Works, control: SandboxControl) -> None:
    await control.order(SLOW)
    message_id = await works.send(crowd(30))
    await works.arrived(30)

    await works.drain()

    assert await works.counts(message_id) == {"SENT": 30}


async def test_what_was_dispatched_and_did_not_leave_is_pending_again(works: Works) -> None:
    await works.put_page(access_token="", pace=8.0)
    message_id = await works.send(crowd(100))
    await works.arrived(1)  # the others of its chunk leave one by one, 125 ms apart

    await works.drain()

    returned = await works.events(message_id, DeliveriesReturned, 1)
    counts = await works.counts(message_id)
    assert returned
    assert counts == {"SENT": len(await works.arrivals()), "PENDING": 100 - len(await works.arrivals())}


async def test_a_page_that_is_taken_on_during_a_drain_sends_nothing(
    idle: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_own = asyncio.Event(), asyncio.Event()
    own = idle.ownership.own

    async def own_slowly(page_id: str) -> int | None:
        asked.set()
        await may_own.wait()
        return await own(page_id)

    monkeypatch.setattr(idle.ownership, "own", own_slowly)
    await idle.start()
    message_id = await idle.send(people("ann"))
    await asked.wait()

    draining = asyncio.create_task(idle.dispatcher.drain())
    await asyncio.sleep(0)  # lets the drain begin
    may_own.set()
    await draining

    assert await idle.counts(message_id) == {"PENDING": 1}
    assert await idle.events(message_id, BatchStarted, 1) == []


# The lease


async def test_nothing_leaves_while_the_lease_is_not_held(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = asyncio.Event()
    held = works.ownership.held

    async def noticed() -> None:
        if not works.ownership.is_held:
            waits.set()
        await held()

    monkeypatch.setattr(works.ownership, "held", noticed)
    await works.put_page(access_token="", pace=40.0)
    message_id = await works.send(crowd(40))
    await works.arrived(4)

    works.ownership._held_until = 0.0
    await waits.wait()

    arrived = len(await works.arrivals())
    assert arrived < 40
    assert await works.counts(message_id) == {"SENT": arrived, "PENDING": 40 - arrived}
    await works.ownership.renew()
    assert (await works.done(message_id)).status == "SENT"
    assert await works.accepted() == {who.id: 1 for who in crowd(40)}


async def test_a_page_that_another_living_process_owns_is_left_to_it(
    idle: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_alone: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def noticed(sql: Sql, worker: str) -> PageShare:
        share = share_of(sql, worker)
        if pages_with_work(sql):
            left_alone.put(not share.work)
        return share

    monkeypatch.setattr(dispatcher, "share_of", noticed)
    await idle.start()
    await idle.lease("other", is_good=True)
    await idle.hand_page_to("other", 7)
    message_id = await idle.send(crowd(3))
    assert await asyncio.to_thread(left_alone.get, timeout=10)
    assert await idle.events(message_id, BatchStarted, 1) == []

    await idle.lease("other", is_good=False)

    assert (await idle.done(message_id)).status == "SENT"
    assert [one.generation for one in await idle.events(message_id, BatchStarted, 1)] == [8]


async def test_a_worker_that_lost_its_page_sends_nothing_more(works: Works) -> None:
    await works.put_page(access_token="", pace=40.0)
    message_id = await works.send(crowd(60))
    await works.arrived(4)

    await works.lease("other", is_good=True)
    await works.hand_page_to("other", 7)

    await eventually(lambda: is_at_work(works, message_id), lambda at_work: not at_work)
    arrived = len(await works.arrivals())
    assert arrived < 60
    assert await works.counts(message_id) == {"SENT": arrived, "PENDING": 60 - arrived}
    await works.lease("other", is_good=False)
    assert (await works.done(message_id)).status == "SENT"
    assert await works.accepted() == {who.id: 1 for who in crowd(60)}


async def is_at_work(works: Works, message_id: str) -> bool:
    return works.dispatcher.is_running((message_id, 1))
