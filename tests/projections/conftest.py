"""A database for one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.projections.driven_store import DrivenStore


@pytest.fixture
def db(tmp_path: Path) -> Iterator[DrivenStore]:
    driven = DrivenStore(tmp_path / "read-models.db")
    yield driven
    driven.close()
