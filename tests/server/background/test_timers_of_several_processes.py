"""Timers of several processes on one database: one process runs per period."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from server.background.retry_timer import RetryTimer
from server.background.timetable import Every
from server.commands.rounds import AutomaticRoundService
from server.eventstore.event_store import EventStore
from server.eventstore.follower import Follower
from server.eventstore.postgres.store import PostgresStore
from tests.builders import wall_clock
from tests.waiting import eventually

PERIOD = timedelta(seconds=0.3)

Timers = tuple[list[RetryTimer], list[str]]


@pytest.fixture
async def timers(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Timers]:
    """Yield three timers, each with its own log, and the list of their runs."""
    runs: list[str] = []
    made: list[RetryTimer] = []
    async with AsyncExitStack() as stack:
        for name in ("one", "two", "three"):
            store = PostgresStore(postgres_url)
            log = await stack.enter_async_context(EventStore(store, Follower(store, postgres_url)))
            rounds = AutomaticRoundService(log, wall_clock)
            timer = RetryTimer(log, rounds, Every(PERIOD), wall_clock)
            monkeypatch.setattr(timer, "run_now", _counted(timer, name, runs))
            made.append(timer)
        yield made, runs


def _counted(timer: RetryTimer, name: str, runs: list[str]) -> object:
    run_now = timer.run_now

    async def counted(**given: bool) -> object:
        runs.append(name)
        return await run_now(**given)

    return counted


async def test_one_process_runs_the_timer_per_period(timers: Timers) -> None:
    all_timers, runs = timers
    began = wall_clock()
    running = [asyncio.create_task(timer.run()) for timer in all_timers]

    async def seen() -> int:
        return len(runs)

    await eventually(seen, lambda count: count >= 6, within=20)
    periods = (wall_clock() - began) / PERIOD
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)

    assert len(runs) <= periods + 1
