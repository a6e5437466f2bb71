"""Watching a message: a snapshot at once, then changes, until it is done."""

import asyncio
from datetime import timedelta

import pytest

from domain.fault import ErrorType
from projections import page_pauses
from projections.sql import Sql
from server.eventstore.commit import Commit
from server.progress.hub import ProgressHub
from tests.builders import FAILED, OWNER, PAGE, auto, crowd, pause_message, people, resume_message, wall_clock
from tests.server.commands.desk import Desk
from tests.server.progress.watches import SOON, CountingLog, all_of, next_of, sent, watching

# What is seen


async def test_a_watcher_sees_at_once_how_things_stand(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann", "bob"))

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert progress.message == await desk.row(message_id)
    assert progress.sequence == progress.message.sequence
    assert (progress.error_types, progress.messages_per_second, progress.eta) == ({}, 0.0, None)


async def test_a_watcher_sees_a_change_within_a_quarter_of_a_second(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann", "bob"))
    async with watching(hub, message_id) as watch:
        before = await next_of(watch)

        await desk.deliver(message_id, {"ann": FAILED})
        async with asyncio.timeout(0.25):
            after = await anext(watch)

    assert after.sequence > before.sequence
    assert (sent(before), sent(after)) == (0, 1)
    assert after.error_types == {ErrorType.NETWORK: 1}


async def test_a_paused_message_is_shown_as_such_and_watched_on(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(200))
    async with watching(hub, message_id) as watch:
        await next_of(watch)
        await desk.deliver_batch((await desk.open_batches(message_id))[0])
        await next_of(watch)

        await desk.pauses.pause(pause_message(message_id))
        paused = await next_of(watch)
        assert (paused.message.status, paused.eta) == ("PAUSED", None)

        await desk.pauses.resume(resume_message(message_id))
        assert (await next_of(watch)).message.status == "SENDING"


async def test_a_watch_ends_with_the_message(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann"))
    seeing = asyncio.create_task(all_of(hub.watch(OWNER, message_id)))
    await desk.deliver(message_id, {})
    await desk.complete(message_id)

    seen = await seeing

    assert seen[-1].message == await desk.row(message_id)
    assert seen[-1].message.completed
    assert not any(progress.message.completed for progress in seen[:-1])


async def test_the_watch_of_a_message_that_is_done_is_one_look(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.sent({"ann": FAILED})

    (progress,) = await all_of(hub.watch(OWNER, message_id))

    assert progress.message.status == "FAILED"


async def test_a_watch_shows_the_round_of_a_message_that_was_opened_again(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.sent({"ann": FAILED}, retry_policy=auto())
    await desk.resend(message_id)

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert (progress.message.round, progress.message.completed) == (1, False)


async def test_the_rate_and_the_time_that_is_left_are_told(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(300))
    async with watching(hub, message_id) as watch:
        await next_of(watch)
        first, *_ = await desk.open_batches(message_id)
        await desk.deliver_batch(first)

        progress = await next_of(watch)

    assert progress.messages_per_second > 0
    assert progress.eta is not None
    assert progress.eta.total_seconds() == pytest.approx(200 / progress.messages_per_second, rel=1e-3)


async def test_sequences_only_grow(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(500))
    seeing = asyncio.create_task(all_of(hub.watch(OWNER, message_id)))
    for row in await desk.open_batches(message_id):
        await desk.deliver_batch(row)
    await desk.complete(message_id)

    sequences = [progress.sequence for progress in await seeing]

    assert sequences == sorted(set(sequences))


async def test_an_idle_watch_is_shown_the_latest_again(desk: Desk, log: CountingLog) -> None:
    message_id = await desk.send(people("ann"))
    async with watching(ProgressHub(log, wall_clock, SOON), message_id) as watch:
        seen = [await next_of(watch) for _ in range(4)]

    assert len({progress.sequence for progress in seen}) == 1
    assert [progress.time for progress in seen] == sorted({progress.time for progress in seen})


async def test_a_first_look_that_takes_longer_than_the_heartbeat_is_shown_all_the_same(
    desk: Desk, log: CountingLog
) -> None:
    message_id = await desk.send(people("ann"))

    async def take_time() -> None:
        await asyncio.sleep(0.1)  # stands for a busy database

    log.before_read = take_time
    async with watching(ProgressHub(log, wall_clock, timedelta(seconds=0.01)), message_id) as watch:
        progress = await next_of(watch)

    assert progress.message.message_id == message_id


async def test_a_slow_watcher_skips_to_the_latest(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(crowd(600))
    async with watching(hub, message_id) as watch, watching(hub, message_id) as quick:
        await next_of(watch)
        for row in await desk.open_batches(message_id):
            await desk.deliver_batch(row)
        while sent(await next_of(quick)) < 600:
            pass

        assert sent(await next_of(watch)) == 600


# Pauses of the page


async def _record_pause(desk: Desk, reason: str, seconds: float) -> None:
    def write(sql: Sql) -> None:
        page_pauses.record(sql, PAGE, reason, None, until=sql.clock() + int(seconds * 1_000_000))

    await desk.log.commit(Commit([], also=write))


async def test_a_watcher_sees_a_pause_of_the_page_begin_and_end(
    desk: Desk, hub: ProgressHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.progress.hub.PAUSE_SECONDS", 0.05)
    message_id = await desk.send(people("ann", "bob"))
    async with watching(hub, message_id) as watch:
        before = await next_of(watch)

        await _record_pause(desk, "Retry-After: 1", 0.5)
        paused = await next_of(watch)
        resumed = await next_of(watch)

    assert before.message.page_pause is None
    assert paused.message.page_pause is not None
    assert (paused.message.page_pause.reason, paused.eta) == ("Retry-After: 1", None)
    assert resumed.message.page_pause is None
    assert (before.sequence, paused.sequence) == (paused.sequence, resumed.sequence)


async def test_a_watcher_sees_a_pause_that_is_under_way(desk: Desk, hub: ProgressHub) -> None:
    message_id = await desk.send(people("ann", "bob"))
    await _record_pause(desk, "Retry-After: 60", 60.0)

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert progress.message.page_pause is not None
