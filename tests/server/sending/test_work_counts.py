"""Work per 1,000 messages in counts, which do not depend on the machine's load."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from domain.page_events import SendMode
from server.messenger.http import HttpClient
from server.sandbox.runner import Sandbox
from tests.builders import FAILED, crowd, delivered
from tests.server.sending.earlier_events import append_events, batch_of
from tests.server.sending.service_process import ServiceProcess, open_service

MESSAGES = 1_000
UNPACED = 100_000.0  # messages per second


class Costs:
    """Counts from its creation on."""

    def __init__(self) -> None:
        self.statements: Counter[str] = Counter()  # by their first word
        self.requests = 0
        self.events: Counter[str] = Counter()

    def trace(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        connection.set_trace_callback(lambda statement: self.statements.update([statement.split(maxsplit=1)[0]]))
        return connection


@pytest.fixture
async def costs(monkeypatch: pytest.MonkeyPatch) -> Costs:
    counted = Costs()
    connect, request = sqlite3.connect, HttpClient.handle_async_request

    async def counting(client: HttpClient, asked: httpx.Request) -> httpx.Response:
        counted.requests += 1
        return await request(client, asked)

    monkeypatch.setattr("sqlite3.connect", lambda *args, **named: counted.trace(connect(*args, **named)))
    monkeypatch.setattr(HttpClient, "handle_async_request", counting)
    return counted


@pytest.fixture
async def traced(costs: Costs, database: Path, sandbox: Sandbox) -> AsyncIterator[ServiceProcess]:
    """Yield a process whose statements, requests and events are counted."""
    async with open_service(database, sandbox) as service:
        await service.start()
        service.log.listen(lambda recorded: costs.events.update(type(one.event).__name__ for one in recorded))
        yield service


async def send_all(service: ServiceProcess, costs: Costs, mode: SendMode) -> None:
    """Send, and wait until the message is done."""
    await service.put_page(pace=UNPACED, send_mode=mode)
    costs.statements.clear()
    costs.events.clear()
    costs.requests = 0
    message_id = await service.send(crowd(MESSAGES))
    await service.done(message_id, within=30.0)


async def test_a_thousand_in_graph_batches(traced: ServiceProcess, costs: Costs) -> None:
    await send_all(traced, costs, SendMode.BATCH)

    assert costs.requests == 20
    assert costs.events["BatchCreated"] == costs.events["BatchStarted"] == costs.events["BatchCompleted"] == 10
    assert 10 <= costs.events["DeliveriesDispatched"] <= 15
    assert 10 <= costs.events["OutcomesRecorded"] <= 20
    assert costs.statements["COMMIT"] <= 60  # 33 when this test was written
    assert sum(costs.statements.values()) <= 900  # 601


async def test_a_thousand_single_requests(traced: ServiceProcess, costs: Costs) -> None:
    await send_all(traced, costs, SendMode.SINGLE)

    assert costs.requests == MESSAGES
    assert 10 <= costs.events["DeliveriesDispatched"] <= 15
    assert 10 <= costs.events["OutcomesRecorded"] <= 60
    assert costs.statements["COMMIT"] <= 100  # 39
    assert sum(costs.statements.values()) <= 1_500  # 760


async def test_planning_a_resend_of_a_thousand(costs: Costs, database: Path, sandbox: Sandbox) -> None:
    async with open_service(database, sandbox) as service:  # not started, so nothing is sent
        await service.put_page()
        message_id = await service.send(crowd(MESSAGES))
        for number in range(1, 11):
            batch = await batch_of(service, message_id, number)
            await append_events(service, batch, *delivered(batch, {who.id: FAILED for who in crowd(MESSAGES)}))
        costs.statements.clear()

        await service.resend(message_id)

    assert sum(costs.statements.values()) <= 80  # 52; 107 with separate statements for each batch
