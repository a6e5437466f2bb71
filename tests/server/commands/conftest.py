"""Fixture: the command services, with a registered page."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from tests.server.commands.command_harness import CommandHarness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[CommandHarness]:
    async with EventStore(SqliteStore(tmp_path / "redrive.db")) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness
