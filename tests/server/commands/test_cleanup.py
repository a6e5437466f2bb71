"""Cleanups are carried out in steps by any process, and continue after interruptions, on both databases."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, closing, suppress
from typing import Any

import pytest

from domain.commands import CleanupDeliveries
from domain.outcome import Outcome
from projections import cleanups, message_rows, removable_deliveries
from projections.cleanups import CleanupRow
from projections.sql import Sql
from server.bootstrap import event_store_over
from server.commands import cleanup_worker
from server.commands.cleanup import CleanupService
from server.commands.cleanup_worker import CleanupWorker
from server.eventstore.commit import EventLog
from server.eventstore.rebuild import differences
from server.eventstore.store import Store
from server.settings import Settings
from tests.builders import FAILED, NOW, OWNER, SENT, UNCONFIRMED, after
from tests.databases import opened
from tests.old_messages import write_finished_messages

MESSAGES = 24
OUTCOMES: Mapping[str, Outcome] = {"ann": SENT, "bob": FAILED, "cid": UNCONFIRMED, "dan": SENT}
LATER = after(100 * 86_400)


def later() -> Any:
    return LATER


@pytest.fixture
def store(database_url: str) -> Store:
    """Return an open store; a log closes it."""
    store = opened(database_url)
    write_finished_messages(store, [f"m-{number:02}" for number in range(MESSAGES)], OUTCOMES, time=NOW)
    write_finished_messages(store, ["young"], OUTCOMES, time=after(20 * 86_400))
    return store


@pytest.fixture
async def log(store: Store, database_url: str) -> AsyncIterator[EventLog]:
    async with event_store_over(store, Settings(database_url=database_url)) as log:
        yield log


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removable_deliveries, "MAX_MESSAGES", 5)
    monkeypatch.setattr("server.commands.cleanup.WAIT_SECONDS", 0.0)


async def requested(log: EventLog) -> CleanupRow:
    """Request a cleanup that no process carries out yet."""
    service = CleanupService(log, CleanupWorker(log, later), later)
    return await service.start(CleanupDeliveries(owner=OWNER, older_than_days=90))


async def row(log: EventLog, cleanup_id: str) -> CleanupRow:
    found = await log.read(lambda sql: cleanups.find(sql, cleanup_id))
    assert found is not None
    return found


async def left(log: EventLog) -> int:
    def count(sql: Sql) -> int:
        return len(sql.rows("SELECT 1 FROM deliveries")) + len(sql.rows("SELECT 1 FROM receipts"))

    return await log.read(count)


async def test_a_repeatedly_interrupted_cleanup_continues_at_its_position(
    log: EventLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleanup = await requested(log)
    assert (cleanup.state, cleanup.deliveries_total, cleanup.deliveries_removed) == ("RUNNING", None, 0)
    looked, found_after = 0, cleanup_worker._find_next

    async def break_off(*arguments: Any) -> Any:
        nonlocal looked
        looked += 1
        if looked % 2 == 0:
            raise RuntimeError
        return await found_after(*arguments)

    monkeypatch.setattr(cleanup_worker, "_find_next", break_off)
    seen = []
    while not (now := await row(log, cleanup.cleanup_id)).is_done:
        seen.append(now.deliveries_removed)
        with suppress(RuntimeError):
            await CleanupWorker(log, later).run_pending()

    assert len(set(seen)) > 3
    assert now.deliveries_removed == now.deliveries_total == 2 * MESSAGES
    assert await left(log) == 2 * MESSAGES + len(OUTCOMES) + 1
    message = await log.read(lambda sql: message_rows.find(sql, "m-07"))
    assert message is not None
    assert sum(message.counts.values()) == message.total == 4
    assert await asyncio.to_thread(differences, store) == {}


async def test_two_processes_on_one_cleanup_remove_each_delivery_once(
    log: EventLog, store: Store, database_url: str
) -> None:
    async with AsyncExitStack() as stack:
        other = log
        if database_url.startswith("postgresql"):
            other = await stack.enter_async_context(
                event_store_over(opened(database_url), Settings(database_url=database_url))
            )
        cleanup = await requested(log)
        while not (now := await row(log, cleanup.cleanup_id)).is_done:
            await asyncio.gather(CleanupWorker(log, later).run_pending(), CleanupWorker(other, later).run_pending())

    assert now.deliveries_removed == now.deliveries_total == 2 * MESSAGES
    assert await left(log) == 2 * MESSAGES + len(OUTCOMES) + 1
    assert await asyncio.to_thread(differences, store) == {}


async def test_messages_that_change_during_a_cleanup_are_checked_again(
    log: EventLog, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step planned on outdated rows is refused, and the next one is correct."""
    cleanup = await requested(log)
    refused = 0
    is_unchanged = removable_deliveries.is_unchanged

    def changed_once(*arguments: Any) -> bool:
        nonlocal refused
        refused += 1
        return refused > 1 and is_unchanged(*arguments)

    monkeypatch.setattr(removable_deliveries, "is_unchanged", changed_once)

    await CleanupWorker(log, later).run_pending()

    assert refused > 1
    assert (await row(log, cleanup.cleanup_id)).deliveries_removed == 2 * MESSAGES


def test_a_message_with_many_batches_is_checked_in_parts(database_url: str) -> None:
    with closing(opened(database_url)) as store, store.transaction(commit=True) as sql:
        sql.execute("DELETE FROM deliveries")
        for number, batches in (("a", 250), ("b", 3), ("c", 1)):
            sql.execute(
                "INSERT INTO messages (message_id, owner, page_id, title, status, is_visible, worker, retry_type,"
                " max_retry_attempts, on_unconfirmed, create_time, update_time, sequence, is_completed, batches_total)"
                " VALUES (:id, 'o', 'p', '', 'SENT', 1, '', 'MANUAL', 3, 'HOLD', 0, 0, 0, 1, :batches)",
                {"id": number, "batches": batches},
            )
        seen, cursor = [], removable_deliveries.CleanupCursor()
        while (found := removable_deliveries.find_removable(sql, 1, cursor)).cursor is not None:
            cursor = found.cursor
            seen.append(tuple(cursor))

    assert seen == [("a", 100), ("a", 200), ("c", 1)]
