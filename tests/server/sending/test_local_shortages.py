"""A shortage on this machine is no outcome: no delivery fails, and all leave once the resources are available."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from domain.batch_events import BatchStarted, DeliveriesDispatched, OutcomesRecorded
from domain.page_events import SendMode
from server.eventstore.event_store import EventStore
from server.eventstore.sqlite.store import SqliteStore
from server.messenger.channel import (
    Channel,
    LocalShortageError,
    OutgoingMessage,
    PageCredentials,
    SendResult,
    TokenAccepted,
    TokenCheck,
)
from server.messenger.http import open_check_client, open_client
from server.messenger.messenger_channel import MessengerChannel
from server.sandbox.runner import Sandbox
from server.sending import rate_limiter
from tests.builders import SENT, crowd
from tests.server.sending.service_process import ServiceProcess
from tests.waiting import eventually


class ExhaustedChannel(Channel):
    """A channel without resources for its first requests."""

    def __init__(self, shortages: int) -> None:
        self.shortages = shortages
        self.requests = 0
        self.sent: list[str] = []

    async def send(self, credentials: PageCredentials, message: OutgoingMessage) -> SendResult:
        return (await self.send_batch(credentials, [message]))[0]

    async def send_batch(
        self, credentials: PageCredentials, messages: Sequence[OutgoingMessage]
    ) -> Sequence[SendResult]:
        self.requests += 1
        await asyncio.sleep(0.005)
        if self.requests <= self.shortages:
            raise LocalShortageError("no connection was free")
        self.sent += [message.recipient_id for message in messages]
        return [SendResult(outcome=SENT)] * len(messages)

    async def count(self) -> int:
        return self.requests

    async def check_token(self, credentials: PageCredentials) -> TokenCheck:
        return TokenAccepted()

    async def is_page_token(self, credentials: PageCredentials) -> bool:
        return True


@pytest.mark.parametrize("send_mode", SendMode)
@pytest.mark.parametrize("shortages", [1, 5, 40])
async def test_deliveries_without_local_resources_stay_pending_and_leave_later(
    database: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, send_mode: SendMode, shortages: int
) -> None:
    monkeypatch.setattr(rate_limiter, "FIRST_SHORTAGE_SECONDS", 0.01)
    monkeypatch.setattr(rate_limiter, "LONGEST_SHORTAGE_SECONDS", 0.05)
    store, channel = SqliteStore(database), ExhaustedChannel(shortages)
    async with EventStore(store) as log, open_client() as client:
        service = ServiceProcess(store, log, sandbox, MessengerChannel(client, sandbox.url), "worker-1", "900")
        await service.put_page(send_mode=send_mode)
        service.dispatcher._channel = channel
        message_id = await service.send(crowd(120))
        await service.start()

        row = await service.done(message_id)

        assert (row.status, await service.counts(message_id)) == ("SENT", {"SENT": 120})
        assert sorted(channel.sent) == [who.id for who in crowd(120)]
        assert {len(attempts) for attempts in (await service.attempts(message_id)).values()} == {1}
        recorded = await service.events(message_id, OutcomesRecorded, 1)
        assert sum(len(event.outcomes) for event in recorded) == 100
        assert await service.events(message_id, DeliveriesDispatched, 1)
        await service.drain()


async def test_a_lasting_shortage_is_retried_at_growing_intervals(
    database: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The five attempts are 0.1, 0.2, 0.4 and 0.8 seconds apart, across workers; each attempt costs one claim."""
    monkeypatch.setattr(rate_limiter, "FIRST_SHORTAGE_SECONDS", 0.1)
    store, channel = SqliteStore(database), ExhaustedChannel(10_000)
    async with EventStore(store) as log, open_client() as client:
        service = ServiceProcess(store, log, sandbox, MessengerChannel(client, sandbox.url), "worker-1", "900")
        await service.put_page()
        service.dispatcher._channel = channel
        message_id = await service.send(crowd(1))
        await service.start()
        started = time.monotonic()
        await eventually(channel.count, lambda requests: requests >= 5)

        assert time.monotonic() - started > 1.4
        assert (await service.counts(message_id)).keys() <= {"PENDING", "SENDING"}
        assert len(await service.events(message_id, BatchStarted, 1)) <= 6
        await service.drain()


class HangingPlatform:
    """Answers sends at once, and token checks never, except for one page."""

    def __init__(self) -> None:
        self.asked = 0
        app = web.Application()
        app.router.add_get("/v25.0/{page}", self._try)
        app.router.add_post("/v25.0/{page}/messages", self._send)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def _try(self, request: web.Request) -> web.Response:
        self.asked += 1
        if request.match_info["page"] != "good":
            await asyncio.sleep(3_600)
        return web.json_response({"id": "good"})

    async def _send(self, _: web.Request) -> web.Response:
        return web.json_response({"message_id": "m.1"})


@pytest.fixture
async def hanging() -> AsyncIterator[tuple[HangingPlatform, str]]:
    platform = HangingPlatform()
    await platform.runner.setup()
    site = web.TCPSite(platform.runner, "127.0.0.1", 0)
    await site.start()
    yield platform, f"{site.name}/v25.0"
    await platform.runner.cleanup()


async def test_many_unanswered_token_checks_affect_no_delivery(
    database: Path, sandbox: Sandbox, hanging: tuple[HangingPlatform, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, url = hanging
    monkeypatch.setattr("server.messenger.http.CHECK_SECONDS", 1.0)
    store = SqliteStore(database)
    async with EventStore(store) as log, open_client() as client, open_check_client() as check_client:
        channel = MessengerChannel(client, url, check_client=check_client)
        channel._check_deadline = 1.0
        service = ServiceProcess(store, log, sandbox, channel, "worker-1", "900")
        await service.put_page("good")
        await service.start()
        puts = [asyncio.create_task(service.put_page(f"hung-{n}", access_token=f"t-{n}")) for n in range(600)]
        message_id = await service.send(crowd(300), page_id="good")

        row = await service.done(message_id)
        async with asyncio.timeout(10):
            await asyncio.gather(*puts)

        assert (row.status, await service.counts(message_id)) == ("SENT", {"SENT": 300})
        assert platform.asked < 100  # those that waited for a connection were accepted unverified, too
        await service.drain()


async def test_a_token_check_without_an_answer_ends_after_ten_seconds_and_accepts_unverified() -> None:
    async with open_client() as client:
        assert MessengerChannel(client, "https://graph.example")._check_deadline == 10.0
