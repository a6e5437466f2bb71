"""Watching a message: first a snapshot, then changes, until it is done."""

import asyncio
from datetime import timedelta

import pytest

from domain.fault import ErrorType
from projections import page_pauses
from projections.sql import Sql
from server.progress.hub import ProgressHub
from tests.builders import FAILED, OWNER, PAGE, auto, crowd, pause_message, people, resume_message, wall_clock
from tests.server.commands.command_harness import CommandHarness
from tests.server.progress.watches import SOON, CountingLog, all_of, next_of, sent, watching

# Answers


async def test_a_watcher_gets_a_snapshot_at_once(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(people("ann", "bob"))

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert progress.message == await harness.row(message_id)
    assert progress.sequence == progress.message.sequence
    assert (progress.error_types, progress.messages_per_second, progress.eta) == ({}, 0.0, None)


async def test_a_watcher_gets_a_change_within_a_quarter_of_a_second(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(people("ann", "bob"))
    async with watching(hub, message_id) as watch:
        before = await next_of(watch)

        await harness.deliver(message_id, {"ann": FAILED})
        async with asyncio.timeout(0.25):
            after = await anext(watch)

    assert after.sequence > before.sequence
    assert (sent(before), sent(after)) == (0, 1)
    assert after.error_types == {ErrorType.NETWORK: 1}


async def test_a_paused_message_is_shown_as_paused_and_the_watch_continues(
    harness: CommandHarness, hub: ProgressHub
) -> None:
    message_id = await harness.send(crowd(200))
    async with watching(hub, message_id) as watch:
        await next_of(watch)
        await harness.deliver_batch((await harness.open_batches(message_id))[0])
        await next_of(watch)

        await harness.pauses.pause(pause_message(message_id))
        paused = await next_of(watch)
        assert (paused.message.status, paused.eta) == ("PAUSED", None)

        await harness.pauses.resume(resume_message(message_id))
        assert (await next_of(watch)).message.status == "SENDING"


async def test_a_watch_ends_with_the_message(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(people("ann"))
    seeing = asyncio.create_task(all_of(hub.watch(OWNER, message_id)))
    await harness.deliver(message_id, {})
    await harness.complete(message_id)

    seen = await seeing

    assert seen[-1].message == await harness.row(message_id)
    assert seen[-1].message.completed
    assert not any(progress.message.completed for progress in seen[:-1])


async def test_the_watch_of_a_done_message_has_one_answer(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.sent({"ann": FAILED})

    (progress,) = await all_of(hub.watch(OWNER, message_id))

    assert progress.message.status == "FAILED"


async def test_a_watch_of_a_reopened_message_shows_its_round(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.sent({"ann": FAILED}, retry_policy=auto())
    await harness.resend(message_id)

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert (progress.message.round, progress.message.completed) == (1, False)


async def test_the_rate_and_the_remaining_time_are_included(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(crowd(300))
    async with watching(hub, message_id) as watch:
        await next_of(watch)
        first, *_ = await harness.open_batches(message_id)
        await harness.deliver_batch(first)

        progress = await next_of(watch)

    assert progress.messages_per_second > 0
    assert progress.eta is not None
    assert progress.eta.total_seconds() == pytest.approx(200 / progress.messages_per_second, rel=1e-3)


async def test_sequences_only_grow(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(crowd(500))
    seeing = asyncio.create_task(all_of(hub.watch(OWNER, message_id)))
    for row in await harness.open_batches(message_id):
        await harness.deliver_batch(row)
    await harness.complete(message_id)

    sequences = [progress.sequence for progress in await seeing]

    assert sequences == sorted(set(sequences))


async def test_an_idle_watch_repeats_the_latest_answer(harness: CommandHarness, log: CountingLog) -> None:
    message_id = await harness.send(people("ann"))
    async with watching(ProgressHub(log, wall_clock, SOON), message_id) as watch:
        seen = [await next_of(watch) for _ in range(4)]

    assert len({progress.sequence for progress in seen}) == 1
    assert [progress.time for progress in seen] == sorted({progress.time for progress in seen})


async def test_a_first_read_slower_than_the_heartbeat_is_shown(harness: CommandHarness, log: CountingLog) -> None:
    message_id = await harness.send(people("ann"))

    async def take_time() -> None:
        await asyncio.sleep(0.1)  # simulates a busy database

    log.before_read = take_time
    async with watching(ProgressHub(log, wall_clock, timedelta(seconds=0.01)), message_id) as watch:
        progress = await next_of(watch)

    assert progress.message.message_id == message_id


async def test_a_slow_watcher_skips_to_the_latest(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(crowd(600))
    async with watching(hub, message_id) as watch, watching(hub, message_id) as quick:
        await next_of(watch)
        for row in await harness.open_batches(message_id):
            await harness.deliver_batch(row)
        while sent(await next_of(quick)) < 600:
            pass

        assert sent(await next_of(watch)) == 600


# Pauses of the page


async def _record_pause(harness: CommandHarness, reason: str, seconds: float) -> None:
    def write(sql: Sql) -> None:
        page_pauses.record(sql, PAGE, reason, None, until=sql.clock() + int(seconds * 1_000_000))

    await harness.log.write(write)


async def test_a_watcher_sees_the_start_and_the_end_of_a_page_pause(
    harness: CommandHarness, hub: ProgressHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.progress.hub.PAUSE_SECONDS", 0.05)
    message_id = await harness.send(people("ann", "bob"))
    async with watching(hub, message_id) as watch:
        before = await next_of(watch)

        await _record_pause(harness, "Retry-After: 1", 0.5)
        paused = await next_of(watch)
        resumed = await next_of(watch)

    assert before.message.page_pause is None
    assert paused.message.page_pause is not None
    assert (paused.message.page_pause.reason, paused.eta) == ("Retry-After: 1", None)
    assert resumed.message.page_pause is None
    assert (before.sequence, paused.sequence) == (paused.sequence, resumed.sequence)


async def test_a_watcher_sees_a_current_page_pause(harness: CommandHarness, hub: ProgressHub) -> None:
    message_id = await harness.send(people("ann", "bob"))
    await _record_pause(harness, "Retry-After: 60", 60.0)

    async with watching(hub, message_id) as watch:
        progress = await next_of(watch)

    assert progress.message.page_pause is not None
