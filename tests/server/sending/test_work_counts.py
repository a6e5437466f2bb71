"""What 1,000 messages cost in counts, which no load on the machine changes: a release that does more shows here."""

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
from tests.server.sending.histories import batch_of, write
from tests.server.sending.works import Works, open_works

MESSAGES = 1_000
UNPACED = 100_000.0  # messages per second


class Costs:
    """Counts from now on."""

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
async def traced(costs: Costs, database: Path, sandbox: Sandbox) -> AsyncIterator[Works]:
    """A process whose statements, requests and events are counted."""
    async with open_works(database, sandbox) as works:
        await works.start()
        works.log.listen(lambda recorded: costs.events.update(type(one.event).__name__ for one in recorded))
        yield works


async def send_all(works: Works, costs: Costs, mode: SendMode) -> None:
    """From the Send to the end."""
    await works.put_page(pace=UNPACED, send_mode=mode)
    costs.statements.clear()
    costs.events.clear()
    costs.requests = 0
    message_id = await works.send(crowd(MESSAGES))
    await works.done(message_id, within=30.0)


async def test_a_thousand_in_graph_batches(traced: Works, costs: Costs) -> None:
    await send_all(traced, costs, SendMode.BATCH)

    assert costs.requests == 20
    assert costs.events["BatchCreated"] == costs.events["BatchStarted"] == costs.events["BatchCompleted"] == 10
    assert 10 <= costs.events["DeliveriesDispatched"] <= 15
    assert 10 <= costs.events["OutcomesRecorded"] <= 20
    assert costs.statements["COMMIT"] <= 60  # 33 when it was written
    assert sum(costs.statements.values()) <= 900  # 601


async def test_a_thousand_one_by_one(traced: Works, costs: Costs) -> None:
    await send_all(traced, costs, SendMode.SINGLE)

    assert costs.requests == MESSAGES
    assert 10 <= costs.events["DeliveriesDispatched"] <= 15
    assert 10 <= costs.events["OutcomesRecorded"] <= 60
    assert costs.statements["COMMIT"] <= 100  # 39
    assert sum(costs.statements.values()) <= 1_500  # 760


async def test_planning_a_resend_of_a_thousand(costs: Costs, database: Path, sandbox: Sandbox) -> None:
    async with open_works(database, sandbox) as works:  # which sends nothing
        await works.put_page()
        message_id = await works.send(crowd(MESSAGES))
        for number in range(1, 11):
            batch = await batch_of(works, message_id, number)
            await write(works, batch, *delivered(batch, {who.id: FAILED for who in crowd(MESSAGES)}))
        costs.statements.clear()

        await works.resend(message_id)

    assert sum(costs.statements.values()) <= 80  # 52; 107 where each batch had statements of its own
