"""A desk at which a page is registered."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from tests.server.commands.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk
