"""Many rounds, each with its seed printed: `make faults ROUNDS=100`, or one again: `make faults SEED=17`."""

import argparse
import asyncio
import secrets
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.round import Report, play
from tests.postgres import Postgres, running_postgres


def main() -> int:
    """Plays the rounds; the exit code is 1 when anything was wrong."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="of the first round; each further one counts one on")
    arguments = parser.parse_args()
    first = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    folder = Path(tempfile.mkdtemp(prefix="redrive-faults-"))
    print(f"{arguments.rounds} rounds from seed {first}; the servers' logs: {folder}")  # noqa: T201
    with running_postgres(folder / "postgres") as postgres:
        reports = [_play(seed, postgres, folder) for seed in range(first, first + arguments.rounds)]
    _sum_up(reports)
    return 1 if any(report.violations for report in reports) else 0


def _play(seed: int, postgres: Postgres, folder: Path) -> Report:
    logs = folder / str(seed)
    logs.mkdir()
    report = asyncio.run(play(seed, postgres, logs))
    print(report, flush=True)  # noqa: T201
    return report


def _sum_up(reports: list[Report]) -> None:
    total = sum((report.figures for report in reports), Counter[str]())
    wrong = [report.seed for report in reports if report.violations]
    for name, count in sorted(total.items()):
        print(f"{count:10,}  {name}")  # noqa: T201
    print(f"the slowest answer took {max(report.slowest for report in reports):.1f} s")  # noqa: T201
    print(f"one fault of everybody wasted at most {max(report.wasted for report in reports)} attempts in a term")  # noqa: T201
    print(f"{len(reports)} rounds, {len(wrong)} with violations {wrong or ''}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
