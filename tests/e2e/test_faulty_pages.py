"""Page-wide faults with two processes on PostgreSQL: few attempts fail, and either process can release the page."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack

import pytest

from redrive import Client
from redrive.v1.content_pb2 import Content
from redrive.v1.delivery_service_pb2 import SendRequest
from redrive.v1.message_pb2 import Message
from redrive.v1.page_pb2 import SendMode
from redrive.v1.page_service_pb2 import PutPageRequest
from server.sandbox.record import Arrival
from tests.e2e.campaign import assert_no_duplicates, recipients, watch_until_done
from tests.e2e.processes import SandboxProcess, ServerProcess, client_of
from tests.waiting import eventually

FAULTS = {"2001": "user_token", "2002": "page_missing", "2003": "unlisted_error"}
HEALTHY = "2004"
MESSAGES, PEOPLE, RATE = 3, 400, 200.0
WASTED_AT_MOST = 150  # attempts per page

Sent = Mapping[str, Sequence[Message]]  # by page


@pytest.fixture
async def clients(two_servers: tuple[ServerProcess, ServerProcess]) -> AsyncIterator[Mapping[int, Client]]:
    """Return a client of each server, by the server's process id."""
    async with AsyncExitStack() as stack:
        yield {server.pid: await stack.enter_async_context(client_of(server)) for server in two_servers}


async def send_on(client: Client, page: str, mode: SendMode.ValueType) -> Sequence[Message]:
    """Register a page with its own token, and send several messages on it."""
    request = PutPageRequest(page_id=page, access_token=f"EAAG-of-{page}", messages_per_second=RATE, send_mode=mode)
    await client.put_page(request)
    sends = [
        SendRequest(page_id=page, content=Content(text="Hi"), recipients=recipients(PEOPLE, f"{page}-{number}-"))
        for number in range(MESSAGES)
    ]
    return [(await client.send(send)).message for send in sends]


async def owners(client: Client, sent: Sent) -> Mapping[str, int]:
    """Return the id of the process that sends each page; pages without a claimed batch are missing."""
    return {
        page: int(batch.worker.split(":")[1])
        for page, messages in sent.items()
        for message in messages
        async for batch in client.list_batches(message.id)
        if batch.worker
    }


async def held_pages(client: Client) -> set[str]:
    return {page.id async for page in client.list_pages() if page.HasField("hold")}


async def refused(sandbox: SandboxProcess) -> Sequence[Arrival]:
    """Return the attempts that the faults refused."""
    arrivals = (await sandbox.control.received(limit=10_000)).arrivals
    return [arrival for arrival in arrivals if arrival.outcome.startswith("error:")]


async def hold_shown(client: Client, message: Message) -> str:
    """Watch a message until its progress shows a hold; return the hold's reason."""
    async with asyncio.timeout(20):
        async for answer in client.watch_progress(message.id):
            if answer.progress.HasField("page_hold"):
                return answer.progress.page_hold.reason
    raise AssertionError("the message ended without a hold")


@pytest.mark.parametrize("mode", [SendMode.SEND_MODE_SINGLE, SendMode.SEND_MODE_BATCH], ids=["single", "batch"])
async def test_faulty_pages_are_held_by_their_owner_and_released_through_the_other_process(
    clients: Mapping[int, Client], sandbox: SandboxProcess, mode: SendMode.ValueType
) -> None:
    any_client = next(iter(clients.values()))
    sent = {page: await send_on(any_client, page, mode) for page in (*FAULTS, HEALTHY)}
    owner = await eventually(lambda: owners(any_client, sent), lambda found: len(found) == len(sent))
    others = {page: next(client for pid, client in clients.items() if pid != owner[page]) for page in FAULTS}
    await sandbox.control.order(*({"preset": preset, "page": page} for page, preset in FAULTS.items()))

    reasons = await asyncio.gather(*(hold_shown(others[page], sent[page][0]) for page in FAULTS))
    await asyncio.gather(*(watch_until_done(any_client, message.id) for message in sent[HEALTHY]))
    held = [await held_pages(client) for client in clients.values()]
    wasted = Counter(arrival.page for arrival in await refused(sandbox))

    assert all(reasons)
    assert held == [set(FAULTS)] * 2
    assert set(wasted) == set(FAULTS)
    assert max(wasted.values()) <= WASTED_AT_MOST, wasted

    await sandbox.control.clear_faults()
    await asyncio.gather(*(others[page].release_page(page) for page in FAULTS))
    ends = {
        page: await asyncio.gather(*(watch_until_done(others[page], message.id) for message in sent[page]))
        for page in FAULTS
    }

    assert {page: sum(end.counts.failed for end in ends[page]) for page in FAULTS} == wasted
    assert {sum(end.counts.sent + end.counts.failed for end in ends[page]) for page in FAULTS} == {MESSAGES * PEOPLE}
    await assert_no_duplicates(sandbox)
