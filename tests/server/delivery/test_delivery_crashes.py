"""Workers that die, stall or are told to stop: nothing is lost, and nobody is written to twice."""

import asyncio
from pathlib import Path

import pytest

from domain.batch_events import (
    BatchReleased,
    BatchStarted,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
)
from domain.errors import MessageNotFound
from domain.streams import batch_stream
from server.log.commit import Commit, CommitResult, Conflict, StreamEvents
from server.sandbox.control import SandboxControl
from server.sandbox.runner import Sandbox
from tests.builders import crowd, people, send_message, start
from tests.server.delivery.histories import batch_of, begun_by
from tests.server.delivery.works import Works, open_works
from tests.waiting import eventually

SLOW = {"effect": {"kind": "delay", "seconds": 0.4}}


# A worker died


async def test_a_dead_workers_batch_is_taken_over_and_what_it_had_sent_is_unconfirmed(idle: Works) -> None:
    message_id = await idle.send(crowd(5))
    await begun_by(idle, "dead", message_id, dispatched=[0, 3])

    await idle.start()

    row = await idle.done(message_id)
    assert await idle.counts(message_id) == {"SENT": 3, "UNCONFIRMED": 2}
    assert row.status == "PARTIALLY_SENT"
    assert await idle.accepted() == {"u00001": 1, "u00002": 1, "u00004": 1}


async def test_a_batch_whose_worker_died_with_everything_on_its_way_comes_to_its_end(idle: Works) -> None:
    message_id = await idle.send(crowd(3))
    await begun_by(idle, "dead", message_id, dispatched=[0, 1, 2])

    await idle.start()

    assert (await idle.done(message_id)).status == "FAILED"
    assert await idle.counts(message_id) == {"UNCONFIRMED": 3}
    assert await idle.arrivals() == []


async def test_what_a_dead_worker_may_have_sent_is_resent_when_somebody_asks_for_it(idle: Works) -> None:
    message_id = await idle.send(crowd(4))
    await begun_by(idle, "dead", message_id, dispatched=[0])
    await idle.start()
    await idle.done(message_id)

    await idle.resend(message_id, include_unconfirmed=True)

    assert (await idle.done(message_id)).status == "SENT"
    assert await idle.accepted() == {who.id: 1 for who in crowd(4)}


# Stuck batches


async def test_a_stuck_batch_is_freed_when_somebody_asks(idle: Works) -> None:
    """The dispatcher of this process does not run: nothing else takes it over meanwhile."""
    message_id = await idle.send(crowd(5))
    await begun_by(idle, "dead", message_id, dispatched=[0, 3])

    assert await idle.stuck.process("local", message_id) == (1, 1)

    (batch,) = await idle.batches(message_id)
    assert (batch.status, batch.worker) == ("PENDING", "")
    assert await idle.counts(message_id) == {"PENDING": 3, "UNCONFIRMED": 2}
    assert await idle.stuck.process("local", message_id) == (0, 1)


async def test_a_batch_that_this_process_claimed_and_lost_sight_of_is_freed_too(idle: Works) -> None:
    message_id = await idle.send(crowd(2))
    await begun_by(idle, idle.worker, message_id, dispatched=[])
    await idle.ownership.renew()

    assert await idle.stuck.process("local", message_id) == (1, 1)


async def test_the_batch_of_a_worker_that_lives_is_not_stuck(idle: Works) -> None:
    message_id = await idle.send(crowd(5))
    await begun_by(idle, "alive", message_id, dispatched=[0])
    await idle.lease("alive", is_good=True)

    assert await idle.stuck.process("local", message_id) == (0, 1)
    assert await idle.counts(message_id) == {"PENDING": 4, "SENDING": 1}


async def test_nothing_of_a_batch_under_way_is_stuck(works: Works, control: SandboxControl) -> None:
    await control.order(SLOW)
    message_id = await works.send(crowd(20))
    await works.arrived(1)

    released, _ = await works.stuck.process("local", message_id)

    assert released == 0
    assert (await works.done(message_id)).status == "SENT"


async def test_somebody_elses_batches_are_not_freed(idle: Works) -> None:
    message_id = await idle.send(crowd(5))

    with pytest.raises(MessageNotFound):
        await idle.stuck.process("somebody else", message_id)


# A claim is taken away


async def test_a_worker_whose_claim_was_taken_sends_nothing_more_but_says_what_it_knows(
    works: Works, control: SandboxControl
) -> None:
    await works.put_page(access_token="", pace=40.0)
    await control.order({**SLOW, "recipients": [who.id for who in crowd(10)]})
    message_id = await works.send(crowd(30))
    await works.arrived(5)

    await steal(works, message_id)

    await works.done(message_id)
    statuses = {who: one.status for who, (one,) in (await works.attempts(message_id)).items()}
    accepted = await works.accepted()
    assert set(accepted.values()) == {1}
    assert {who for who, status in statuses.items() if status == "SENT"} == accepted.keys()
    assert {status for who, status in statuses.items() if who not in accepted} <= {"UNCONFIRMED"}
    assert await works.events(message_id, LateOutcomesRecorded, 1)
    assert await stale_dispatches(works, message_id) == []


async def steal(works: Works, message_id: str) -> None:
    """Another worker claims a batch that is under way, sooner or later."""
    stream = batch_stream(message_id, 0, 1)
    result: CommitResult = Conflict(stream)
    while isinstance(result, Conflict):
        batch = await batch_of(works, message_id)
        result = await works.log.commit(Commit([StreamEvents(stream, batch.version, start(batch, "thief"))]))


async def stale_dispatches(works: Works, message_id: str) -> list[DeliveriesDispatched]:
    """Those under a claim that was not the latest."""
    found, latest = [], 0
    for version, event in enumerate(await works.log.load(batch_stream(message_id, 0, 1)), start=1):
        if isinstance(event, BatchStarted):
            latest = version
        elif isinstance(event, DeliveriesDispatched) and event.claim != latest:
            found.append(event)
    return found


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
    await works.put_page(access_token="", pace=20.0)
    message_id = await works.send(crowd(100))
    await works.arrived(3)

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
    refused = asyncio.Event()
    own = idle.ownership.own

    async def noticed(page_id: str) -> int | None:
        generation = await own(page_id)
        if generation is None:
            refused.set()
        return generation

    monkeypatch.setattr(idle.ownership, "own", noticed)
    await idle.start()
    await idle.lease("other", is_good=True)
    await idle.hand_page_to("other", 7)
    message_id = await idle.send(crowd(3))
    await refused.wait()
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


# Streams of recipients


async def test_streams_of_a_dead_worker_are_given_up(idle: Works) -> None:
    idle.streams._worker = "dead"
    stream = await idle.streams.open(send_message(request_id="r-1"))
    await stream.add(crowd(1_200))

    await idle.start()

    await eventually(lambda: idle.log.read(lambda sql: sql.rows("SELECT 1 FROM messages")), lambda rows: not rows)
    assert (await idle.done(await idle.send(crowd(3), request_id="r-1"))).total == 3


async def test_a_stream_that_is_open_here_is_left_alone(works: Works) -> None:
    stream = await works.streams.open(send_message())
    await stream.add(crowd(1_200))

    await works.sweeper.sweep()

    answer = await stream.submit()
    assert (await works.done(answer.message.message_id)).total == 1_200
