"""WatchProgress and ListBatches against a real server."""

import asyncio
import time
from pathlib import Path

import pytest

from redrive import Client
from redrive.errors import NotFound
from redrive.v1.batch_pb2 import BatchStatus
from redrive.v1.delivery_service_pb2 import WatchProgressResponse
from redrive.v1.message_pb2 import MessageStatus
from tests.e2e.campaign import put_page, recipients, send_request, watch_until_done
from tests.e2e.processes import SandboxProcess, client_of, running_server


async def _next(answers: asyncio.Queue[tuple[float, WatchProgressResponse]], sent: int) -> float:
    """Return the time at which this many messages were first seen as sent."""
    async with asyncio.timeout(10):
        while True:
            seen, answer = await answers.get()
            if answer.progress.counts.sent >= sent:
                return seen


async def test_a_change_reaches_every_watcher_within_250_ms(client: Client, sandbox: SandboxProcess) -> None:
    await put_page(client, rate=2)
    message = (await client.send(send_request(recipients(4)))).message
    watched: list[asyncio.Queue[tuple[float, WatchProgressResponse]]] = [asyncio.Queue() for _ in range(20)]

    async def watch(seen: asyncio.Queue[tuple[float, WatchProgressResponse]]) -> None:
        async for answer in client.watch_progress(message.id):
            seen.put_nowait((time.time(), answer))

    watchers = [asyncio.create_task(watch(seen)) for seen in watched]
    lags = []
    for sent in (2, 3, 4):
        seen_at = [await _next(seen, sent) for seen in watched]
        [arrival] = (await sandbox.control.received(f"u{sent - 1}")).arrivals
        lags.append(max(seen_at) - arrival.time)

    assert min(lags) < 0.25, "the best of three, because the machine may be busy"
    await asyncio.gather(*watchers)


async def test_an_idle_watch_sends_heartbeats_and_a_watch_of_a_done_message_ends_at_once(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    settings = {"REDRIVE_HEARTBEAT_SECONDS": "0.2"}
    async with running_server(tmp_path, sandbox.graph_url, settings) as server, client_of(server) as client:
        await put_page(client, rate=0.2)
        message = (await client.send(send_request(recipients(2)))).message
        answers = []
        async for answer in client.watch_progress(message.id):
            answers.append((answer.sequence, answer.time.ToDatetime()))
            if len(answers) >= 2 and answers[-1][0] == answers[-2][0]:
                break
        assert answers[-1][1] > answers[-2][1]

        await client.cancel_message(message.id)
        last = await watch_until_done(client, message.id)
        assert last.status == MessageStatus.MESSAGE_STATUS_CANCELLED
        with pytest.raises(NotFound):
            await watch_until_done(client, "no-such-message")


async def test_batches_show_their_worker_and_none_is_stuck(client: Client) -> None:
    await put_page(client, rate=50)
    message = (await client.send(send_request(recipients(250)))).message
    async for answer in client.watch_progress(message.id):
        if answer.progress.counts.sent >= 5:
            break

    first, second, third = [batch async for batch in client.list_batches(message.id)]
    processed = await client.process_batches(message.id)

    assert first.status == BatchStatus.BATCH_STATUS_STARTED
    assert first.worker
    assert first.lease_expire_time.ToDatetime() > first.start_time.ToDatetime()
    assert (second.status, third.status) == (BatchStatus.BATCH_STATUS_PENDING,) * 2
    assert [batch.counts.total for batch in (first, second, third)] == [100, 100, 50]
    assert (processed.released, processed.processing) == (0, 3)
