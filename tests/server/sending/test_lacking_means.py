"""What this machine lacks to send is no outcome: nothing fails, and it all leaves once the means are there."""

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
    Attempted,
    Channel,
    Credentials,
    NothingLeftError,
    OutgoingMessage,
    TokenAccepted,
    TokenCheck,
)
from server.messenger.http import open_check_client, open_client
from server.messenger.messenger_channel import MessengerChannel
from server.sandbox.runner import Sandbox
from server.sending import rate_limiter
from tests.builders import SENT, crowd
from tests.server.sending.works import Works
from tests.waiting import eventually


class LackingChannel(Channel):
    """Lacks the means for its first requests."""

    def __init__(self, lacks: int) -> None:
        self.lacks = lacks
        self.requests = 0
        self.sent: list[str] = []

    async def send(self, credentials: Credentials, message: OutgoingMessage) -> Attempted:
        return (await self.send_batch(credentials, [message]))[0]

    async def send_batch(self, credentials: Credentials, messages: Sequence[OutgoingMessage]) -> Sequence[Attempted]:
        self.requests += 1
        await asyncio.sleep(0.005)
        if self.requests <= self.lacks:
            raise NothingLeftError("no connection was free")
        self.sent += [message.recipient_id for message in messages]
        return [Attempted(outcome=SENT)] * len(messages)

    async def count(self) -> int:
        return self.requests

    async def check_token(self, credentials: Credentials) -> TokenCheck:
        return TokenAccepted()

    async def is_page_token(self, credentials: Credentials) -> bool:
        return True


@pytest.mark.parametrize("send_mode", SendMode)
@pytest.mark.parametrize("lacks", [1, 5, 40])
async def test_what_found_no_means_to_leave_stays_pending_and_leaves_later(
    database: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, send_mode: SendMode, lacks: int
) -> None:
    monkeypatch.setattr(rate_limiter, "FIRST_LACK_SECONDS", 0.01)
    monkeypatch.setattr(rate_limiter, "LONGEST_LACK_SECONDS", 0.05)
    store, channel = SqliteStore(database), LackingChannel(lacks)
    async with EventStore(store) as log, open_client() as client:
        works = Works(store, log, sandbox, MessengerChannel(client, sandbox.url), "worker-1", "900")
        await works.put_page(send_mode=send_mode)
        works.dispatcher._channel = channel
        message_id = await works.send(crowd(120))
        await works.start()

        row = await works.done(message_id)

        assert (row.status, await works.counts(message_id)) == ("SENT", {"SENT": 120})
        assert sorted(channel.sent) == [who.id for who in crowd(120)]
        assert {len(attempts) for attempts in (await works.attempts(message_id)).values()} == {1}
        recorded = await works.events(message_id, OutcomesRecorded, 1)
        assert sum(len(event.outcomes) for event in recorded) == 100
        assert await works.events(message_id, DeliveriesDispatched, 1)
        await works.drain()


async def test_a_machine_that_lacks_the_means_for_long_is_tried_less_and_less(
    database: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between five tries are 0.1, 0.2, 0.4 and 0.8 seconds, across workers too; each try costs a claim."""
    monkeypatch.setattr(rate_limiter, "FIRST_LACK_SECONDS", 0.1)
    store, channel = SqliteStore(database), LackingChannel(10_000)
    async with EventStore(store) as log, open_client() as client:
        works = Works(store, log, sandbox, MessengerChannel(client, sandbox.url), "worker-1", "900")
        await works.put_page()
        works.dispatcher._channel = channel
        message_id = await works.send(crowd(1))
        await works.start()
        started = time.monotonic()
        await eventually(channel.count, lambda requests: requests >= 5)

        assert time.monotonic() - started > 1.4
        assert (await works.counts(message_id)).keys() <= {"PENDING", "SENDING"}
        assert len(await works.events(message_id, BatchStarted, 1)) <= 6
        await works.drain()


class HangingPlatform:
    """Answers what sends at once, and never answers what tries a token, but for one page."""

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


async def test_many_tokens_tried_while_the_platform_hangs_harm_no_delivery(
    database: Path, sandbox: Sandbox, hanging: tuple[HangingPlatform, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, url = hanging
    monkeypatch.setattr("server.messenger.http.CHECK_SECONDS", 1.0)
    store = SqliteStore(database)
    async with EventStore(store) as log, open_client() as client, open_check_client() as check_client:
        channel = MessengerChannel(client, url, check_client=check_client)
        channel._check_deadline = 1.0
        works = Works(store, log, sandbox, channel, "worker-1", "900")
        await works.put_page("good")
        await works.start()
        puts = [asyncio.create_task(works.put_page(f"hung-{n}", access_token=f"t-{n}")) for n in range(600)]
        message_id = await works.send(crowd(300), page_id="good")

        row = await works.done(message_id)
        async with asyncio.timeout(10):
            await asyncio.gather(*puts)

        assert (row.status, await works.counts(message_id)) == ("SENT", {"SENT": 300})
        assert platform.asked < 100  # those that waited for a connection in vain were accepted unverified, too
        await works.drain()


async def test_a_token_that_the_platform_never_answers_is_accepted_unverified_in_ten_seconds() -> None:
    async with open_client() as client:
        assert MessengerChannel(client, "https://graph.example")._check_deadline == 10.0
