"""Fixture: a running gRPC API for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.api.edge import Edge, running_edge


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with running_edge(tmp_path) as running:
        yield running
