"""SendStream: 100,000 recipients use little memory, and an interrupted stream stores nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from redrive import Client
from redrive.errors import RedriveError
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, SendStreamResponse
from tests.e2e.campaign import PAGE, put_page
from tests.e2e.processes import SandboxProcess, ServerProcess

MEGABYTE = 1024 * 1024


def _memory(pid: int, field: str) -> int:
    """Return a field of a process's memory in bytes: VmRSS (current) or VmHWM (peak)."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def _header(request_id: str = "") -> SendRequest:
    return SendRequest(request_id=request_id, page_id=PAGE, content=Content(text="Hello {{name}}"))


def _people(count: int) -> Iterator[Recipient]:
    for number in range(count):
        yield Recipient(id=f"73000000000{number:06}", name=f"Name {number}")


async def test_a_hundred_thousand_recipients_use_less_than_100_mb(client: Client, server: ServerProcess) -> None:
    await put_page(client, rate=1)
    before = _memory(server.pid, "VmRSS")

    answer = await client.send_stream(_header(), _people(100_000))

    grown = _memory(server.pid, "VmHWM") - before
    assert answer.message.counts.total == 100_000
    assert answer.message.batches_total == 1_000
    assert grown < 100 * MEGABYTE, f"grew by {grown / MEGABYTE:.0f} MB"


async def test_an_interrupted_stream_stores_nothing_and_can_be_sent_again(
    client: Client, sandbox: SandboxProcess
) -> None:
    await put_page(client)
    started = asyncio.Event()

    async def endless() -> AsyncIterator[Recipient]:
        for person in _people(5_000):
            yield person
        started.set()
        await asyncio.Event().wait()

    stream = asyncio.create_task(client.send_stream(_header("again"), endless()))
    await started.wait()
    stream.cancel()
    await asyncio.wait([stream])
    assert [message async for message in client.list_messages()] == []

    answer = await _once_the_first_is_abandoned(client)

    assert answer.message.counts.total == 2_500
    async for _ in client.watch_progress(answer.message.id):
        pass
    assert (await sandbox.control.summary()).received == 2_500


async def _once_the_first_is_abandoned(client: Client) -> SendStreamResponse:
    """Repeat the stream until the server has noticed that the first one was interrupted."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await client.send_stream(_header("again"), _people(2_500))
            except RedriveError as error:
                if error.reason != "STREAM_IN_PROGRESS":
                    raise
