"""One service for all assertions of a test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.observability.outside import Outside, seen_from_outside


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Outside]:
    async with seen_from_outside(tmp_path) as running:
        yield running
