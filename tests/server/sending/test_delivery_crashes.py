"""Workers that die, stall or are told to stop: nothing is lost, and nobody is written to twice."""

from collections.abc import Sequence

import pytest

from domain.batch_events import (
    BatchStarted,
    DeliveriesDispatched,
    LateOutcomesRecorded,
)
from domain.errors import MessageNotFound
from domain.event import Event
from domain.streams import batch_stream
from server.eventstore.commit import Commit, CommitResult, Conflict, StreamEvents
from server.sandbox.control import SandboxControl
from tests.builders import crowd, send_message, start
from tests.server.sending.histories import batch_of, begun_by
from tests.server.sending.works import Works
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


async def test_a_worker_that_gives_a_sign_of_life_meanwhile_keeps_its_batch(
    idle: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found stuck, and has its lease again before the batch is freed (found by tests/model)."""
    await idle.lease("dead", is_good=False)
    message_id = await idle.send(crowd(5))
    await begun_by(idle, "dead", message_id, [0, 1])
    load = idle.log.load

    async def comes_back(stream: str, *, limit: int | None = None) -> Sequence[Event]:
        await idle.lease("dead", is_good=True)
        return await load(stream, limit=limit)

    monkeypatch.setattr(idle.log, "load", comes_back)

    assert await idle.stuck.process("local", message_id) == (0, 1)
    assert await idle.counts(message_id) == {"PENDING": 3, "SENDING": 2}


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
    assert {status for who, status in statuses.items() if who not in accepted} <= {"UNCONFIRMED", "FAILED"}
    assert "FAILED" not in {statuses[who] for who in accepted}, "what never left is known to have failed (rule 1)"
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


# Streams of recipients


async def test_streams_of_a_dead_worker_are_given_up(idle: Works) -> None:
    idle.streams._worker = "dead"
    stream = await idle.streams.open(send_message(request_id="r-1"))
    await stream.add(crowd(1_200))

    await idle.start()

    await eventually(lambda: idle.log.read(lambda sql: sql.rows("SELECT 1 FROM messages")), lambda rows: not rows)
    assert (await idle.done(await idle.send(crowd(3), request_id="r-1"))).total == 3


async def test_a_stream_is_left_alone_from_the_moment_at_which_it_can_be_seen(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = works.log.commit

    async def commit_then_sweep(staged: Commit) -> CommitResult:
        monkeypatch.setattr(works.log, "commit", commit)
        result = await commit(staged)
        await works.sweeper.sweep()
        return result

    monkeypatch.setattr(works.log, "commit", commit_then_sweep)
    stream = await works.streams.open(send_message())
    await stream.add(crowd(2))

    assert (await stream.submit()).message.total == 2


async def test_a_stream_that_is_open_here_is_left_alone(works: Works) -> None:
    stream = await works.streams.open(send_message())
    await stream.add(crowd(1_200))

    await works.sweeper.sweep()

    assert (await stream.submit()).message.total == 1_200
