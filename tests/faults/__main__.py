"""Run fault rounds: `make faults ROUNDS=100`, or repeat one with `make faults SEED=17`. Each seed is printed."""

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
    """Run the rounds; return 1 when any of them has violations."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="seed of the first round; each further round adds 1")
    arguments = parser.parse_args()
    first = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    folder = Path(tempfile.mkdtemp(prefix="redrive-faults-"))
    print(f"{arguments.rounds} rounds from seed {first}; server logs: {folder}")  # noqa: T201
    with running_postgres(folder / "postgres") as postgres:
        reports = [_play(seed, postgres, folder) for seed in range(first, first + arguments.rounds)]
    _print_totals(reports)
    return 1 if any(report.violations for report in reports) else 0


def _play(seed: int, postgres: Postgres, folder: Path) -> Report:
    logs = folder / str(seed)
    logs.mkdir()
    report = asyncio.run(play(seed, postgres, logs))
    print(report, flush=True)  # noqa: T201
    return report


def _print_totals(reports: list[Report]) -> None:
    total = sum((report.figures for report in reports), Counter[str]())
    wrong = [report.seed for report in reports if report.violations]
    for name, count in sorted(total.items()):
        print(f"{count:10,}  {name}")  # noqa: T201
    print(f"slowest answer: {max(report.slowest for report in reports):.1f} s")  # noqa: T201
    print(f"attempts wasted by one wide fault in one term: at most {max(report.wasted for report in reports)}")  # noqa: T201
    print(f"{len(reports)} rounds, {len(wrong)} with violations {wrong or ''}")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
