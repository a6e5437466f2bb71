"""Measure reads on a database with millions of attempts: `python -m bench.reads`.

Writes a database of 10,000,000 attempts (`--attempts 1000000` is faster), starts a server on it, and calls it over
gRPC, one call at a time. Needs 1 GB of disk per million attempts; takes about 15 minutes.
"""

import argparse
import asyncio
import base64
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, nullcontext
from pathlib import Path
from typing import NamedTuple

from bench.archive_writer import Archive
from bench.folder import ON_DISK, temporary_folder
from bench.read_cases import Case, cases, explore
from bench.stores import running_postgres
from server.bootstrap import open_store
from server.settings import Settings
from tests.e2e.processes import client_of, running_server

_KEY = base64.b64encode(bytes(32)).decode()
_NOWHERE = "http://127.0.0.1:9/v25.0"  # nothing is sent
_WARM_UP = 5  # calls of each case that are not measured
LIMIT_MS = 50


class Timed(NamedTuple):
    """Durations of the calls of one case, in milliseconds."""

    case: Case
    milliseconds: Sequence[float]

    def percentile(self, percent: int) -> float:
        """Return the duration that this percentage of the calls did not exceed."""
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[percent - 1]


async def measure(options: argparse.Namespace) -> Sequence[Timed]:
    """Write the database if it is empty, and measure all cases."""
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    with nullcontext(options.keep) if options.keep else temporary_folder(options.folder) as folder:
        async with _database(folder, on_postgres=options.postgres) as url:
            await asyncio.to_thread(_fill, url, options.attempts)
            settings = {"REDRIVE_DATABASE_URL": url, "REDRIVE_SECRET_KEY": _KEY}
            async with running_server(folder, _NOWHERE, settings) as server, client_of(server) as client:
                chance = random.Random(2)  # noqa: S311 - reproducible, and not a secret
                return [await _timed(case, options.calls) for case in cases(client, await explore(client), chance)]


@asynccontextmanager
async def _database(folder: Path, *, on_postgres: bool) -> AsyncIterator[str]:
    if not on_postgres:
        yield f"sqlite:///{folder / 'redrive.db'}"
        return
    async with running_postgres(folder) as store:
        yield store.url


def _fill(url: str, attempts: int) -> None:
    began = time.monotonic()
    with closing(open_store(Settings(database_url=url))) as store:
        if store.last_position():
            return

        Archive(store).fill(attempts)
    print(f"Wrote {attempts:,} attempts in {time.monotonic() - began:,.0f} s.", flush=True)  # noqa: T201


async def _timed(case: Case, calls: int) -> Timed:
    for _ in range(_WARM_UP):
        await case.call()
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        await case.call()
        taken.append((time.perf_counter() - began) * 1_000)
    return Timed(case, taken)


def _print_table(figures: Sequence[Timed]) -> None:
    print("\n| rpc | what | p50, ms | p99, ms | max, ms |\n| --- | --- | ---: | ---: | ---: |")  # noqa: T201
    for timed in figures:
        middle, high, highest = timed.percentile(50), timed.percentile(99), max(timed.milliseconds)
        mark = " (!)" if high >= LIMIT_MS else ""
        print(f"| {timed.case.rpc} | {timed.case.what} | {middle:.1f} | {high:.1f}{mark} | {highest:.1f} |")  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run the benchmark and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.reads", description=__doc__)
    parser.add_argument("--attempts", type=int, default=10_000_000)
    parser.add_argument("--calls", type=int, default=200, help="measured calls per case")
    parser.add_argument("--postgres", action="store_true", help="start and use PostgreSQL instead of SQLite")
    parser.add_argument("--folder", default=ON_DISK, help="parent of the temporary folder")
    parser.add_argument("--keep", type=Path, help="folder to keep the database in; an existing database is used again")
    _print_table(asyncio.run(measure(parser.parse_args(arguments))))


if __name__ == "__main__":
    main()
