"""Measure the server's memory during one very large send: `python -m bench.memory`.

Sends by SendStream in Graph batches on SQLite; 5 percent of the recipients are refused once. RSS is read ten times a
second, from the server's start to the last outcome.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psutil

from bench.contenders.ours import RETRY_AT_ONCE, put_pages, recipient
from bench.endpoint import running_endpoint
from bench.folder import ON_DISK, temporary_folder
from bench.job import TEXT, people
from redrive import Client
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.page_pb2 import SendMode
from tests.e2e.processes import client_of, running_server

SAMPLE_SECONDS = 0.1
TIMEOUT_SECONDS = 3_600.0


class Memory:
    """Resident memory of a process in bytes: at the start, and the peak."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.at_rest = self._process.memory_info().rss
        self.peak = self.at_rest

    def sample(self) -> None:
        """Update the peak."""
        self.peak = max(self.peak, self._process.memory_info().rss)


async def measure(options: argparse.Namespace) -> None:
    """Run one send and print the memory figures."""
    with temporary_folder(options.folder) as folder:
        async with running_endpoint(folder) as endpoint, running_server(folder, endpoint.url) as server:
            await endpoint.make_ready(delay_seconds=0)
            async with client_of(server) as client, _sampling(server.pid) as memory:
                await put_pages(client, SendMode.SEND_MODE_BATCH)
                await _send(client, options.recipients, memory)
            await endpoint.check(options.recipients)


async def _send(client: Client, count: int, memory: Memory) -> None:
    header = SendRequest(page_id="page0", content=Content(text=TEXT), retry_policy=RETRY_AT_ONCE)
    began = time.monotonic()
    persons = (recipient(person) for person in people(0, count))
    accepted = await client.send_stream(header, persons, timeout=TIMEOUT_SECONDS)
    took, peak = time.monotonic() - began, memory.peak
    _say(f"at rest   {memory.at_rest / 1e6:7,.1f} MB")
    _say(f"accepted  {peak / 1e6:7,.1f} MB at most, {count:,} recipients in {took:,.1f} s")
    async for answer in client.watch_progress(accepted.message.id):
        last = answer.progress.counts
    took = time.monotonic() - began
    if last.sent != count:
        raise RuntimeError(f"only {last.sent} of {count} messages were sent")
    _say(f"all sent  {memory.peak / 1e6:7,.1f} MB at most, {took:,.1f} s in all, {count / took:,.0f} messages/s")


@asynccontextmanager
async def _sampling(pid: int) -> AsyncIterator[Memory]:
    memory = Memory(pid)

    async def keep_peak() -> None:
        while True:
            memory.sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.create_task(keep_peak())
    try:
        yield memory
    finally:
        sampling.cancel()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--folder", default=ON_DISK, help="where the database is stored")
    asyncio.run(measure(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
