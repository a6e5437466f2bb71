"""Reads of several owners: heavy readers get their share only, and sending reads without delay."""

import asyncio
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NoReturn

import grpc.aio
import pytest

from domain.errors import MessageNotFound
from domain.streams import batch_stream, message_stream
from projections.sql import Sql
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListDeliveriesRequest,
    ListMessagesRequest,
    ResendRequest,
    WatchProgressRequest,
)
from server.api.fair_reads import CALLER_READS
from server.api.servicers import delivery
from server.auth.caller import Scope
from server.eventstore.store import READERS
from tests.builders import FAILED, batch_created, message_submitted
from tests.databases import opened
from tests.server.api.edge import Edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.rpcs import Metadata
from tests.waiting import eventually

LIGHT, HEAVY, LARGE = "m-hers", "m-heavy", "m-large"
BATCHES = 20
PROMISED_SECONDS = 0.25


@pytest.fixture
def callers(tmp_path: Path) -> Callers:
    return Callers(tmp_path)


@pytest.fixture
def heavy(callers: Callers) -> Metadata:
    return token_metadata(callers.token("heavy", Scope.READ, Scope.RESEND))


@pytest.fixture
def light(callers: Callers) -> Metadata:
    return token_metadata(callers.token("light", Scope.READ))


@pytest.fixture
async def guarded(callers: Callers, database_url: str) -> AsyncIterator[Edge]:
    """Run an API with a large message of the heavy owner and a small one of the other owner."""
    async with guarded_edge(callers, store=opened(database_url)) as edge:
        await edge.submit_as("light", LIGHT)
        await edge.submit_as("heavy", HEAVY)
        yield edge


async def submit_large(edge: Edge) -> None:
    submitted: Any = message_submitted(100 * BATCHES, message_id=LARGE, owner="heavy", batches=BATCHES)
    await edge.commit(message_stream(LARGE), 0, submitted)
    for number in range(1, BATCHES + 1):
        ids = [f"r{number}-{place}" for place in range(100)]
        created = batch_created(*ids, message_id=LARGE, batch_number=number)
        await edge.commit(batch_stream(LARGE, 0, number), 0, created)
        await edge.deliver(LARGE, dict.fromkeys(ids, FAILED), batch_number=number)


class Blocked:
    """Makes every ListDeliveries run until the test ends it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running = 0
        self.end = threading.Event()
        monkeypatch.setattr(delivery, "list_attempts", self._query)

    def _query(self, *_: object, **__: object) -> Callable[[Sql], NoReturn]:
        return self._wait

    def _wait(self, sql: Sql) -> NoReturn:
        """Keep reading; PostgreSQL ends a session whose transaction is silent for 2 s."""
        self.running += 1
        while not self.end.wait(0.2):
            sql.row("SELECT 1 AS one")
        raise MessageNotFound(HEAVY)

    async def fill(self) -> None:
        """Wait until an owner's share of the readers is in use."""
        await eventually(lambda: asyncio.sleep(0, self.running), lambda running: running >= CALLER_READS // 2)


async def test_reads_of_one_owner_leave_readers_to_others_and_to_sending(
    guarded: Edge, heavy: Metadata, light: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = Blocked(monkeypatch)
    request = ListDeliveriesRequest(message_id=HEAVY)
    calls = [guarded.delivery.ListDeliveries(request, metadata=heavy) for _ in range(5 * READERS)]
    try:
        await blocked.fill()
        async with asyncio.timeout(5):
            listed = await guarded.delivery.ListMessages(ListMessagesRequest(), metadata=light)
            found = await guarded.delivery.GetMessage(GetMessageRequest(message_id=LIGHT), metadata=light)
            watch = guarded.delivery.WatchProgress(WatchProgressRequest(message_id=LIGHT), metadata=light)
            first: Any = await watch.read()
            watch.cancel()
            own = await asyncio.gather(*(guarded.rows("messages") for _ in range(READERS)))
    finally:
        for call in calls:
            call.cancel()
        blocked.end.set()

    assert [message.id for message in listed.messages] == [found.message.id] == [LIGHT]
    assert first.progress.message_id == LIGHT
    assert own == [2] * READERS
    assert blocked.running == CALLER_READS // 2


async def p50(calling: Callable[[], Any], calls: int = 15) -> float:
    taken = []
    for _ in range(calls):
        began = time.perf_counter()
        await calling()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


async def test_dry_runs_of_one_owner_hardly_slow_another_owners_lists(
    guarded: Edge, heavy: Metadata, light: Metadata
) -> None:
    """The dry runs use a sequence before all failures, so they read every event since then."""
    await submit_large(guarded)
    request = ResendRequest(message_id=LARGE, validate_only=True, as_of_sequence=1)

    async def plan() -> None:
        while True:
            await guarded.delivery.Resend(request, metadata=heavy)

    planning = [asyncio.create_task(plan()) for _ in range(8)]
    try:
        await asyncio.sleep(0)
        listing = await p50(lambda: guarded.delivery.ListMessages(ListMessagesRequest(), metadata=light))
        getting = await p50(lambda: guarded.delivery.GetMessage(GetMessageRequest(message_id=LIGHT), metadata=light))
        own = await p50(lambda: guarded.rows("pages"))
    finally:
        for task in planning:
            task.cancel()
        await asyncio.gather(*planning, return_exceptions=True)

    assert max(listing, getting, own) < PROMISED_SECONDS, (listing, getting, own)


async def test_an_owner_with_expired_deadlines_does_not_block_the_readers(
    guarded: Edge, heavy: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls whose deadline expires again and again, as from a client that retries."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) AS found FROM n"
    monkeypatch.setattr(delivery, "list_attempts", lambda *_, **__: lambda sql: sql.row(endless))
    request = ListDeliveriesRequest(message_id=HEAVY)
    for _ in range(3):
        calls = [guarded.delivery.ListDeliveries(request, metadata=heavy, timeout=0.2) for _ in range(2 * READERS)]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
                await call

    async with asyncio.timeout(5):
        found = await guarded.delivery.GetMessage(GetMessageRequest(message_id=HEAVY), metadata=heavy)

    assert found.message.id == HEAVY
