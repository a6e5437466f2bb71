"""Measure the delay of 100 WatchProgress streams under full load: `python -m bench.watchers`.

One caller polls GetMessage for one message. The lag is the time from an answer's arrival until a watcher of that
message has seen as many outcomes. Both times come from the clock of this process.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from bench.processes import UNPACED
from redrive import Client
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import Counts, Message
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.e2e.processes import client_of, running_sandbox_process, running_server

ASK_SECONDS = 0.02  # from one answer to the next call


class Seen(NamedTuple):
    """Number of outcomes seen at a time."""

    time: float
    outcomes: int


def _outcomes(counts: Counts) -> int:
    return counts.sent + counts.failed + counts.unconfirmed


async def watch(client: Client, message: Message) -> Sequence[Seen]:
    """Return what one watcher sees until the message is done."""
    answers = client.watch_progress(message.id)
    return [Seen(time.monotonic(), _outcomes(answer.progress.counts)) async for answer in answers]


async def poll(client: Client, message: Message) -> Sequence[Seen]:
    """Return what GetMessage answers until all messages are sent."""
    seen = [Seen(time.monotonic(), 0)]
    while seen[-1].outcomes < message.counts.total:
        await asyncio.sleep(ASK_SECONDS)
        answer = await client.get_message(message.id)
        seen.append(Seen(time.monotonic(), _outcomes(answer.counts)))
    return seen


def lags(truth: Sequence[Seen], watched: Sequence[Seen]) -> list[float]:
    """Return for each answer the seconds until the watcher had seen as many outcomes; 0 if it had seen them before."""
    found = []
    for answer in truth:
        caught_up = next(seen.time for seen in watched if seen.outcomes >= answer.outcomes)
        found.append(max(0.0, caught_up - answer.time))
    return found


async def one_message(client: Client, page: str, options: argparse.Namespace, *, is_polled: bool) -> list[float]:
    """Return the lags of all watchers of a message; empty unless the message is polled."""
    people = [Recipient(id=f"{page}-{number}", name="Ada") for number in range(options.recipients)]
    sent = await client.send(SendRequest(page_id=page, content=Content(text="Hi {{name}}"), recipients=people))
    watchers = [watch(client, sent.message) for _ in range(options.watchers // options.pages)]
    watching = asyncio.gather(*watchers)
    truth = await poll(client, sent.message) if is_polled else []
    watched = await watching
    return [lag for one in watched for lag in lags(truth, one)]


async def measure(options: argparse.Namespace) -> None:
    """Run once and print the lags."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sandbox = await stack.enter_async_context(running_sandbox_process())
        server = await stack.enter_async_context(running_server(folder, sandbox.graph_url))
        client = await stack.enter_async_context(client_of(server))
        pages = [f"page{number}" for number in range(options.pages)]
        mode = SendMode.Value(f"SEND_MODE_{options.mode}")
        for page in pages:
            await client.put_page(
                PutPageRequest(page_id=page, access_token="EAAG", messages_per_second=UNPACED, send_mode=mode)  # noqa: S106
            )
        began = time.monotonic()
        found = await asyncio.gather(
            *(one_message(client, page, options, is_polled=page == pages[0]) for page in pages)
        )
        speed = options.pages * options.recipients / (time.monotonic() - began)
    behind = sorted(lag * 1_000 for of_one in found for lag in of_one)
    p99 = behind[int(len(behind) * 0.99)]
    print(  # noqa: T201
        f"{options.watchers} watchers at {speed:,.0f} messages/s: "
        f"median {statistics.median(behind):.0f} ms, p99 {p99:.0f} ms, longest {behind[-1]:.0f} ms behind"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.watchers", description=__doc__)
    parser.add_argument("--watchers", type=int, default=100)
    parser.add_argument("--pages", type=int, default=20)
    parser.add_argument("--recipients", type=int, default=5_000, help="per page, at most 10,000")
    parser.add_argument("--mode", choices=["SINGLE", "BATCH"], default="BATCH")
    asyncio.run(measure(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
