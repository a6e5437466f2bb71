"""Short fault rounds; the long version is `make faults ROUNDS=100`. A failure names its seed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.round import play
from tests.postgres import Postgres, running_postgres

SEEDS = (4001, 4002, 4003)  # fixed, so that a failure can be repeated


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running_postgres(tmp_path_factory.mktemp("faults") / "postgres") as server:
        yield server


@pytest.mark.parametrize("seed", SEEDS)
async def test_faults_lose_no_message_and_repeat_none(seed: int, postgres: Postgres, tmp_path: Path) -> None:
    report = await play(seed, postgres, tmp_path)

    assert not report.violations, str(report)
