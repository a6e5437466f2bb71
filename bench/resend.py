"""Measure a Resend of 100,000 failed recipients: `python -m bench.resend`.

Each recipient's first attempt is refused, on one page in Graph batches. Then one Resend takes all of them. Measured are
the seconds until its answer and until all batches are planned; the server sends the first ones already. Each round has
a new server and database.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.contenders.ours import KEY, UNPACED, recipient
from bench.endpoint import Endpoint, running_endpoint
from bench.folder import ON_DISK, temporary_folder
from bench.job import TEXT, TOKEN, people
from bench.stores import running_postgres
from redrive import Client
from redrive.send_any import send_any
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest, StopPolicy
from redrive.v1.message_pb2 import Counts
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from redrive.v1.resend_pb2 import ResendRequest
from tests.e2e.processes import client_of, running_server

ALL_RECIPIENTS = 1.0
NEVER_STOPS = StopPolicy(min_attempts=2**31 - 1)  # every first attempt fails; by default such a message stops after 100


class Taken(NamedTuple):
    """Seconds until the answer, and until every recipient has a planned attempt."""

    accepted: float
    planned: float


async def measure(options: argparse.Namespace) -> None:
    """Measure SQLite and PostgreSQL in turns."""
    taken: dict[str, list[Taken]] = {"SQLite": [], "PostgreSQL": []}
    for _ in range(options.rounds):
        for store, rounds in taken.items():
            with temporary_folder(options.folder) as folder:
                rounds.append(await _one_round(folder, options.recipients, on_postgres=store == "PostgreSQL"))
    for store, rounds in taken.items():
        _say(store, "accepted", [one.accepted for one in rounds])
        _say(store, "all planned", [one.planned for one in rounds])


def _say(store: str, what: str, seconds: Sequence[float]) -> None:
    each = ", ".join(f"{one:.2f}" for one in seconds)
    print(f"{store:10} {what:11} after {statistics.median(seconds):.2f} s (median of {each})", flush=True)  # noqa: T201


async def _one_round(folder: Path, recipients: int, *, on_postgres: bool) -> Taken:
    async with running_endpoint(folder, ALL_RECIPIENTS) as endpoint:
        if not on_postgres:
            return await _serve(folder, endpoint, {}, recipients)
        async with running_postgres(folder) as store:
            return await _serve(folder, endpoint, {"REDRIVE_DATABASE_URL": store.url}, recipients)


async def _serve(folder: Path, endpoint: Endpoint, database: dict[str, str], recipients: int) -> Taken:
    settings = {"REDRIVE_SECRET_KEY": KEY, **database}
    async with running_server(folder, endpoint.url, settings) as server, client_of(server) as client:
        await endpoint.make_ready(delay_seconds=0)
        taken = await _resend(client, recipients)
        await endpoint.check(recipients)
        return taken


async def _resend(client: Client, recipients: int) -> Taken:
    mode = SendMode.SEND_MODE_BATCH
    await client.put_page(
        PutPageRequest(page_id="page0", access_token=TOKEN, messages_per_second=UNPACED, send_mode=mode)
    )
    header = SendRequest(page_id="page0", content=Content(text=TEXT), stop_policy=NEVER_STOPS)
    sent = await send_any(client, header, [recipient(person) for person in people(0, recipients)])
    failed = (await _when(client, sent.message.id, _is_over)).failed
    began = time.monotonic()
    accepted = await client.resend(ResendRequest(message_id=sent.message.id))
    seconds = time.monotonic() - began
    await _when(client, sent.message.id, lambda counts: not counts.failed)
    planned = time.monotonic() - began
    if (failed, accepted.recipients_to_retry) != (recipients, recipients):
        raise RuntimeError(f"{failed} of {recipients} failed, {accepted.recipients_to_retry} are resent")
    await _when(client, sent.message.id, _is_over)
    return Taken(seconds, planned)


async def _when(client: Client, message_id: str, holds: Callable[[Counts], bool]) -> Counts:
    async for answer in client.watch_progress(message_id):
        if holds(answer.progress.counts):
            break
    return answer.progress.counts


def _is_over(counts: Counts) -> bool:
    return counts.sent + counts.failed == counts.total


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench.resend", description=__doc__)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3, help="on each database")
    parser.add_argument("--folder", default=ON_DISK, help="where the databases are stored")
    asyncio.run(measure(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
