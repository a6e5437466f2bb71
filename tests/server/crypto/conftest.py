"""Fixtures: a SQLite database, and an event store over it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "redrive.db"


@pytest.fixture
async def sqlite_log(database: Path) -> AsyncIterator[EventStore]:
    async with EventStore(SqliteStore(database)) as log:
        yield log
