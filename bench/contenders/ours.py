"""Redrive as a contender: one server process, twenty pages, one Send per page."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.contenders.contender import Prepared
from bench.job import PAGES, TEXT, TOKEN, name_of, page_of, people
from bench.stores import Store, running_postgres
from redrive import Client
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import RetryPolicy, RetryType
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from tests.e2e.processes import client_of, running_server

UNPACED = 100_000.0  # messages per second and page; high, so that the pace does not limit the run
RETRY_AT_ONCE = RetryPolicy(type=RetryType.RETRY_TYPE_AUTO, max_retry_attempts=3)
KEY = "A" * 43 + "="  # 32 bytes in base64


class Ours:
    """Redrive on one database, with single requests or Graph batches of 50 messages."""

    def __init__(self, name: str, mode: SendMode.ValueType, *, on_postgres: bool) -> None:
        self.name = name
        self._mode = mode
        self._on_postgres = on_postgres

    def missing(self) -> str:
        """Return nothing: .venv has all packages."""
        return ""

    @asynccontextmanager
    async def prepared(self, folder: Path, graph_url: str) -> AsyncIterator[Prepared]:
        """Start the server and register the pages."""
        async with AsyncExitStack() as stack:
            settings, stores = {"REDRIVE_SECRET_KEY": KEY}, list[Store]()
            if self._on_postgres:
                stores.append(await stack.enter_async_context(running_postgres(folder)))
                settings["REDRIVE_DATABASE_URL"] = stores[0].url
            server = await stack.enter_async_context(running_server(folder, graph_url, settings))
            client = await stack.enter_async_context(client_of(server))
            await put_pages(client, self._mode)

            async def send(first: int, count: int) -> float:
                return await send_on_all_pages(client, people(first, count))

            yield Prepared(send, [server.pid], [store.pid for store in stores])


async def put_pages(client: Client, mode: SendMode.ValueType) -> None:
    """Register the job's pages."""
    for number in range(PAGES):
        page = f"page{number}"
        request = PutPageRequest(page_id=page, access_token=TOKEN, messages_per_second=UNPACED, send_mode=mode)
        await client.put_page(request)


async def send_on_all_pages(client: Client, persons: Sequence[str]) -> float:
    """Send to each recipient by its page; return the seconds until all outcomes are durable."""
    requests = [_request(f"page{number}", persons) for number in range(PAGES)]
    began = time.monotonic()
    await asyncio.gather(*(_send_all(client, request) for request in requests))
    return time.monotonic() - began


def recipient(person: str) -> Recipient:
    """Return the recipient message of the contract."""
    return Recipient(id=person, name=name_of(person))


def _request(page: str, persons: Sequence[str]) -> SendRequest:
    recipients = [recipient(person) for person in persons if page_of(person) == page]
    return SendRequest(page_id=page, content=Content(text=TEXT), recipients=recipients, retry_policy=RETRY_AT_ONCE)


async def _send_all(client: Client, request: SendRequest) -> None:
    sent = await client.send(request)
    async for answer in client.watch_progress(sent.message.id):
        last = answer.progress.counts
    if last.sent != len(request.recipients):
        raise RuntimeError(f"only {last.sent} of {len(request.recipients)} messages were sent")
