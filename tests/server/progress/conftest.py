"""A hub over a log that counts what is read through it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.progress.hub import ProgressHub
from tests.builders import wall_clock
from tests.server.commands.desk import Desk
from tests.server.progress.watches import NEVER, CountingLog


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


@pytest.fixture
def log(desk: Desk) -> CountingLog:
    return CountingLog(desk.log)


@pytest.fixture
def hub(log: CountingLog) -> ProgressHub:
    return ProgressHub(log, wall_clock, NEVER)
