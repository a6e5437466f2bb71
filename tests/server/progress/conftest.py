"""Fixtures: a hub over a log that counts reads."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.progress.hub import ProgressHub
from tests.builders import wall_clock
from tests.server.commands.command_harness import CommandHarness
from tests.server.progress.watches import NEVER, CountingLog


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[CommandHarness]:
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


@pytest.fixture
def log(harness: CommandHarness) -> CountingLog:
    return CountingLog(harness.log)


@pytest.fixture
def hub(log: CountingLog) -> ProgressHub:
    return ProgressHub(log, wall_clock, NEVER)
