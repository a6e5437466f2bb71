"""Both databases, for tests that every store has to pass."""

from pathlib import Path

import pytest

from server.bootstrap import open_store
from server.eventstore.store import Store
from server.settings import Settings


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'redrive.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def opened(url: str) -> Store:
    """As the server opens it."""
    return open_store(Settings(database_url=url))
