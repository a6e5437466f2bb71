"""How long a Resend of very many failed recipients takes to be accepted: `python -m bench.resend`.

One message to people who are all refused once, on one page in Graph batches; then a Resend of all of them, timed from
the call to its answer: the server sends to the first of them already. Each round has a server and a database of its
own.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from bench.contenders.ours import KEY, UNPACED, recipient
from bench.endpoint import Endpoint, running_endpoint
from bench.folder import ON_DISK, fresh_folder
from bench.job import TEXT, TOKEN, people
from bench.stores import running_postgres
from redrive import Client
from redrive.send_any import send_any
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import Counts
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from redrive.v1.resend_pb2 import ResendRequest
from tests.e2e.processes import client_of, running_server

EVERYBODY = 1.0


async def measure(options: argparse.Namespace) -> None:
    """SQLite and PostgreSQL in turns."""
    taken: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
    for _ in range(options.rounds):
        for store, seconds in taken.items():
            with fresh_folder(options.folder) as folder:
                seconds.append(await _one_round(folder, options.recipients, on_postgres=store == "PostgreSQL"))
    for store, seconds in taken.items():
        each = ", ".join(f"{one:.2f}" for one in seconds)
        print(f"{store:10} accepted in {statistics.median(seconds):.2f} s (median of {each})", flush=True)  # noqa: T201


async def _one_round(folder: Path, recipients: int, *, on_postgres: bool) -> float:
    async with running_endpoint(folder, EVERYBODY) as endpoint:
        if not on_postgres:
            return await _serve(folder, endpoint, {}, recipients)
        async with running_postgres(folder) as store:
            return await _serve(folder, endpoint, {"REDRIVE_DATABASE_URL": store.url}, recipients)


async def _serve(folder: Path, endpoint: Endpoint, database: dict[str, str], recipients: int) -> float:
    settings = {"REDRIVE_SECRET_KEY": KEY, **database}
    async with running_server(folder, endpoint.url, settings) as server, client_of(server) as client:
        await endpoint.make_ready(delay_seconds=0)
        seconds = await _resend(client, recipients)
        await endpoint.check(recipients)
        return seconds


async def _resend(client: Client, recipients: int) -> float:
    mode = SendMode.SEND_MODE_BATCH
    await client.put_page(
        PutPageRequest(page_id="page0", access_token=TOKEN, messages_per_second=UNPACED, send_mode=mode)
    )
    header = SendRequest(page_id="page0", content=Content(text=TEXT))
    sent = await send_any(client, header, [recipient(person) for person in people(0, recipients)])
    failed = (await _ended(client, sent.message.id)).failed
    began = time.monotonic()
    accepted = await client.resend(ResendRequest(message_id=sent.message.id))
    seconds = time.monotonic() - began
    if (failed, accepted.recipients_to_retry) != (recipients, recipients):
        raise RuntimeError(f"of {recipients} {failed} failed, and {accepted.recipients_to_retry} were taken")
    await _ended(client, sent.message.id)
    return seconds


async def _ended(client: Client, message_id: str) -> Counts:
    async for answer in client.watch_progress(message_id):
        last = answer.progress.counts
    return last


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.resend", description=__doc__)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3, help="on each database")
    parser.add_argument("--folder", default=ON_DISK, help="where the databases are kept")
    asyncio.run(measure(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
