"""Processes that drain, or lose their lease or a page: nothing more leaves, and the next process continues."""

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
from tests.server.sending.service_process import ServiceProcess, open_service
from tests.waiting import eventually

SLOW = {"effect": {"kind": "delay", "seconds": 0.4}}


# Drains


async def test_a_drain_sends_nothing_more_and_the_next_process_continues(database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as service:
        await service.put_page(pace=40.0)
        await service.start()
        message_id = await service.send(crowd(60))
        await service.arrived(5)

        await service.drain()

        arrived = len(await service.arrivals())
        assert arrived < 60
        assert await service.counts(message_id) == {"SENT": arrived, "PENDING": 60 - arrived}
        (batch,) = await service.batches(message_id)
        assert batch.status == "PENDING"
        assert isinstance((await service.events(message_id, BatchReleased, 1))[-1], BatchReleased)

    async with open_service(database, sandbox, worker="worker-2") as service:
        await service.put_page(access_token="")
        await service.start()
        assert (await service.done(message_id)).status == "SENT"
        assert await service.accepted() == {who.id: 1 for who in crowd(60)}


async def test_a_drain_waits_for_deliveries_in_flight(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order(SLOW)
    message_id = await service.send(crowd(30))
    await service.arrived(30)

    await service.drain()

    assert await service.counts(message_id) == {"SENT": 30}


async def test_dispatched_deliveries_that_did_not_leave_are_pending_again(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=8.0)
    message_id = await service.send(crowd(100))
    await service.arrived(1)  # the others of its chunk leave 125 ms apart

    await service.drain()

    returned = await service.events(message_id, DeliveriesReturned, 1)
    counts = await service.counts(message_id)
    assert returned
    assert counts == {"SENT": len(await service.arrivals()), "PENDING": 100 - len(await service.arrivals())}


async def test_a_page_taken_over_during_a_drain_sends_nothing(
    idle: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_own = asyncio.Event(), asyncio.Event()
    own = idle.ownership.acquire_page

    async def own_slowly(page_id: str) -> int | None:
        asked.set()
        await may_own.wait()
        return await own(page_id)

    monkeypatch.setattr(idle.ownership, "acquire_page", own_slowly)
    await idle.start()
    message_id = await idle.send(people("ann"))
    await asked.wait()

    draining = asyncio.create_task(idle.dispatcher.drain())
    await asyncio.sleep(0)  # lets the drain start
    may_own.set()
    await draining

    assert await idle.counts(message_id) == {"PENDING": 1}
    assert await idle.events(message_id, BatchStarted, 1) == []


# Leases


async def test_nothing_leaves_without_a_valid_lease(service: ServiceProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = asyncio.Event()
    held = service.ownership.wait_until_held

    async def noticed() -> None:
        if not service.ownership.is_held:
            waits.set()
        await held()

    monkeypatch.setattr(service.ownership, "wait_until_held", noticed)
    await service.put_page(access_token="", pace=40.0)
    message_id = await service.send(crowd(40))
    await service.arrived(4)

    service.ownership._held_until = 0.0
    await waits.wait()

    arrived = len(await service.arrivals())
    assert arrived < 40
    assert await service.counts(message_id) == {"SENT": arrived, "PENDING": 40 - arrived}
    await service.ownership.renew()
    assert (await service.done(message_id)).status == "SENT"
    assert await service.accepted() == {who.id: 1 for who in crowd(40)}


async def test_a_page_of_another_running_process_is_left_to_it(
    idle: ServiceProcess, monkeypatch: pytest.MonkeyPatch
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


async def test_a_worker_that_lost_its_page_sends_nothing_more(service: ServiceProcess) -> None:
    await service.put_page(access_token="", pace=40.0)
    message_id = await service.send(crowd(60))
    await service.arrived(4)

    await service.lease("other", is_good=True)
    await service.hand_page_to("other", 7)

    await eventually(lambda: is_sending(service, message_id), lambda at_work: not at_work)
    arrived = len(await service.arrivals())
    assert arrived < 60
    assert await service.counts(message_id) == {"SENT": arrived, "PENDING": 60 - arrived}
    await service.lease("other", is_good=False)
    assert (await service.done(message_id)).status == "SENT"
    assert await service.accepted() == {who.id: 1 for who in crowd(60)}


async def is_sending(service: ServiceProcess, message_id: str) -> bool:
    return service.dispatcher.is_running((message_id, 1))
