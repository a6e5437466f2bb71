"""Workers that crash, stall or lose a claim: no delivery is lost, and no recipient is sent to twice."""

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
from tests.server.sending.earlier_events import batch_of, started_by
from tests.server.sending.service_process import ServiceProcess
from tests.waiting import eventually

SLOW = {"effect": {"kind": "delay", "seconds": 0.4}}


# A crashed worker


async def test_a_dead_workers_batch_is_taken_over_and_its_dispatched_deliveries_are_unconfirmed(
    idle: ServiceProcess,
) -> None:
    message_id = await idle.send(crowd(5))
    await started_by(idle, "dead", message_id, dispatched=[0, 3])

    await idle.start()

    row = await idle.done(message_id)
    assert await idle.counts(message_id) == {"SENT": 3, "UNCONFIRMED": 2}
    assert row.status == "PARTIALLY_SENT"
    assert await idle.accepted() == {"u00001": 1, "u00002": 1, "u00004": 1}


async def test_a_batch_whose_worker_crashed_with_all_deliveries_dispatched_is_completed(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(3))
    await started_by(idle, "dead", message_id, dispatched=[0, 1, 2])

    await idle.start()

    assert (await idle.done(message_id)).status == "FAILED"
    assert await idle.counts(message_id) == {"UNCONFIRMED": 3}
    assert await idle.arrivals() == []


async def test_unconfirmed_deliveries_of_a_dead_worker_are_resent_on_request(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(4))
    await started_by(idle, "dead", message_id, dispatched=[0])
    await idle.start()
    await idle.done(message_id)

    await idle.resend(message_id, include_unconfirmed=True)

    assert (await idle.done(message_id)).status == "SENT"
    assert await idle.accepted() == {who.id: 1 for who in crowd(4)}


# Stuck batches


async def test_a_stuck_batch_is_released_on_request(idle: ServiceProcess) -> None:
    """The dispatcher of this process does not run, so only ProcessBatches releases the batch."""
    message_id = await idle.send(crowd(5))
    await started_by(idle, "dead", message_id, dispatched=[0, 3])

    assert await idle.stuck.process("local", message_id) == (1, 1)

    (batch,) = await idle.batches(message_id)
    assert (batch.status, batch.worker) == ("PENDING", "")
    assert await idle.counts(message_id) == {"PENDING": 3, "UNCONFIRMED": 2}
    assert await idle.stuck.process("local", message_id) == (0, 1)


async def test_a_batch_that_this_process_claimed_and_lost_is_released_too(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(2))
    await started_by(idle, idle.worker, message_id, dispatched=[])
    await idle.ownership.renew()

    assert await idle.stuck.process("local", message_id) == (1, 1)


async def test_the_batch_of_a_running_worker_is_not_stuck(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(5))
    await started_by(idle, "running", message_id, dispatched=[0])
    await idle.lease("running", is_good=True)

    assert await idle.stuck.process("local", message_id) == (0, 1)
    assert await idle.counts(message_id) == {"PENDING": 4, "SENDING": 1}


async def test_a_worker_that_renews_its_lease_in_time_keeps_its_batch(
    idle: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch was found stuck, but the worker has its lease again before the release (found by tests/model)."""
    await idle.lease("dead", is_good=False)
    message_id = await idle.send(crowd(5))
    await started_by(idle, "dead", message_id, [0, 1])
    load = idle.log.load

    async def comes_back(stream: str, *, limit: int | None = None) -> Sequence[Event]:
        await idle.lease("dead", is_good=True)
        return await load(stream, limit=limit)

    monkeypatch.setattr(idle.log, "load", comes_back)

    assert await idle.stuck.process("local", message_id) == (0, 1)
    assert await idle.counts(message_id) == {"PENDING": 3, "SENDING": 2}


async def test_a_batch_in_progress_is_not_stuck(service: ServiceProcess, control: SandboxControl) -> None:
    await control.order(SLOW)
    message_id = await service.send(crowd(20))
    await service.arrived(1)

    released, _ = await service.stuck.process("local", message_id)

    assert released == 0
    assert (await service.done(message_id)).status == "SENT"


async def test_batches_of_another_owner_are_not_released(idle: ServiceProcess) -> None:
    message_id = await idle.send(crowd(5))

    with pytest.raises(MessageNotFound):
        await idle.stuck.process("another owner", message_id)


# A lost claim


async def test_a_worker_that_lost_its_claim_sends_nothing_more_and_records_its_outcomes(
    service: ServiceProcess, control: SandboxControl
) -> None:
    await service.put_page(access_token="", pace=40.0)
    await control.order({**SLOW, "recipients": [who.id for who in crowd(10)]})
    message_id = await service.send(crowd(30))
    await service.arrived(5)

    await take_over(service, message_id)

    await service.done(message_id)
    statuses = {who: one.status for who, (one,) in (await service.attempts(message_id)).items()}
    accepted = await service.accepted()
    assert set(accepted.values()) == {1}
    assert {who for who, status in statuses.items() if status == "SENT"} == accepted.keys()
    assert {status for who, status in statuses.items() if who not in accepted} <= {"UNCONFIRMED", "FAILED"}
    assert "FAILED" not in {statuses[who] for who in accepted}, (
        "an accepted delivery is not recorded as failed (protocol rule 1)"
    )
    assert await service.events(message_id, LateOutcomesRecorded, 1)
    assert await stale_dispatches(service, message_id) == []


async def take_over(service: ServiceProcess, message_id: str) -> None:
    """Let another worker claim a batch that is in progress."""
    stream = batch_stream(message_id, 0, 1)
    result: CommitResult = Conflict(stream)
    while isinstance(result, Conflict):
        batch = await batch_of(service, message_id)
        result = await service.log.commit(Commit([StreamEvents(stream, batch.version, start(batch, "thief"))]))


async def stale_dispatches(service: ServiceProcess, message_id: str) -> list[DeliveriesDispatched]:
    """Return the dispatches under a claim that was not the latest."""
    found, latest = [], 0
    for version, event in enumerate(await service.log.load(batch_stream(message_id, 0, 1)), start=1):
        if isinstance(event, BatchStarted):
            latest = version
        elif isinstance(event, DeliveriesDispatched) and event.claim != latest:
            found.append(event)
    return found


# Streams of recipients


async def test_streams_of_a_dead_worker_are_abandoned(idle: ServiceProcess) -> None:
    idle.streams._worker = "dead"
    stream = await idle.streams.open(send_message(request_id="r-1"))
    await stream.add(crowd(1_200))

    await idle.start()

    await eventually(lambda: idle.log.read(lambda sql: sql.rows("SELECT 1 FROM messages")), lambda rows: not rows)
    assert (await idle.done(await idle.send(crowd(3), request_id="r-1"))).total == 3


async def test_a_new_stream_is_not_abandoned_from_its_first_commit_on(
    service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = service.log.commit

    async def commit_then_sweep(staged: Commit) -> CommitResult:
        monkeypatch.setattr(service.log, "commit", commit)
        result = await commit(staged)
        await service.reconciler.reconcile()
        return result

    monkeypatch.setattr(service.log, "commit", commit_then_sweep)
    stream = await service.streams.open(send_message())
    await stream.add(crowd(2))

    assert (await stream.submit()).message.total == 2


async def test_an_open_stream_of_this_process_is_not_abandoned(service: ServiceProcess) -> None:
    stream = await service.streams.open(send_message())
    await stream.add(crowd(1_200))

    await service.reconciler.reconcile()

    assert (await stream.submit()).message.total == 1_200
