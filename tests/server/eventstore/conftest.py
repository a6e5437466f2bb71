"""Fixtures: a log in its own database file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "redrive.db"


@pytest.fixture
def store(database: Path) -> SqliteStore:
    """Return an open store; the log closes it."""
    return SqliteStore(database)


@pytest.fixture
async def sqlite_log(store: SqliteStore) -> AsyncIterator[EventStore]:
    async with EventStore(store) as log:
        yield log
