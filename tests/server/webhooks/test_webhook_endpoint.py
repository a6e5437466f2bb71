"""The webhook endpoint with calls of the platform and of callers without credentials, on a real API."""

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from redrive import Client
from redrive.v1.delivery_service_pb2 import GetMessageRequest
from redrive.v1.message_pb2 import Counts
from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsResponse
from server.auth.caller import Scope
from server.webhooks.app import MAX_BODY
from server.webhooks.runner import running_webhooks
from server.webhooks.settings import WebhookSettings
from tests.builders import PAGE, UNCONFIRMED
from tests.keyed_ids import IDS
from tests.server.api.edge import Edge, running_edge
from tests.server.api.known_callers import Callers, guarded_edge
from tests.server.api.requests import send_request

VERIFY_TOKEN = "verify-me-5e4f"
APP_SECRET = "app-secret-7a6b"
SENT_AT = 1_700_000_000_123


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with running_edge(tmp_path) as running:
        yield running


def settings(server: str) -> WebhookSettings:
    return WebhookSettings(server=server, verify_token=VERIFY_TOKEN, app_secret=APP_SECRET)


@pytest.fixture
async def address(edge: Edge) -> AsyncIterator[str]:
    async with running_webhooks(settings(edge.address)) as listening:
        yield listening


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def echo(message_id: str, position: int, text: str = "Hello") -> dict[str, Any]:
    return {
        "sender": {"id": PAGE},
        "recipient": {"id": f"p{position}"},
        "timestamp": SENT_AT,
        "message": {
            "is_echo": True,
            "mid": f"m_{position}",
            "metadata": IDS.delivery(message_id, 1, position),
            "text": text,
        },
    }


def body_of(*events: dict[str, Any]) -> bytes:
    return json.dumps({"object": "page", "entry": [{"id": PAGE, "time": SENT_AT, "messaging": events}]}).encode()


def signed(body: bytes, secret: str = APP_SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


async def post(http: httpx.AsyncClient, address: str, body: bytes) -> int:
    return (await http.post(address, content=body, headers=signed(body))).status_code


async def unconfirmed(edge: Edge, *who: str) -> str:
    """Create a message whose deliveries to these recipients are unconfirmed; return its id."""
    message_id = (await edge.delivery.Send(send_request(*who))).message.id
    await edge.deliver(message_id, dict.fromkeys(who, UNCONFIRMED))
    return message_id


async def counts(edge: Edge, message_id: str) -> Counts:
    return (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message.counts


# Subscriptions


async def test_a_subscription_is_verified_by_its_token(http: httpx.AsyncClient, address: str) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1158<201444>"}

    answer = await http.get(address, params=query)

    assert (answer.status_code, answer.text) == (200, "1158<201444>")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"hub.mode": "subscribe", "hub.challenge": "1"},
        {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"},
        {"hub.mode": "subscribe", "hub.verify_token": VERIFY_TOKEN.upper(), "hub.challenge": "1"},
        {"hub.mode": "subscribe", "hub.verify_token": "schlüssel", "hub.challenge": "1"},
        {"hub.mode": "unsubscribe", "hub.verify_token": VERIFY_TOKEN, "hub.challenge": "1"},
    ],
)
async def test_another_token_is_refused(http: httpx.AsyncClient, address: str, query: dict[str, str]) -> None:
    answer = await http.get(address, params=query)

    assert (answer.status_code, answer.text) == (403, "")


# Events


async def test_an_echo_makes_an_unconfirmed_delivery_sent(http: httpx.AsyncClient, edge: Edge, address: str) -> None:
    message_id = await unconfirmed(edge, "p0", "p1")

    assert await post(http, address, body_of(echo(message_id, 1))) == 200

    assert await counts(edge, message_id) == Counts(total=2, sent=1, unconfirmed=1)


async def test_concurrent_bodies_are_sent_in_few_calls(
    http: httpx.AsyncClient, edge: Edge, address: str, logs: list[EventDict]
) -> None:
    who = [f"p{number}" for number in range(60)]
    message_id = await unconfirmed(edge, *who)

    bodies = [body_of(echo(message_id, number)) for number in range(60)]
    answers = await asyncio.gather(*(post(http, address, body) for body in bodies))

    assert set(answers) == {200}
    assert await counts(edge, message_id) == Counts(total=60, sent=60)
    calls = [line for line in logs if line["event"] == "receipts_recorded"]
    assert sum(line["recorded"] for line in calls) == 60
    assert len(calls) <= 20


async def test_a_body_with_more_receipts_than_a_call_may_have_is_divided(
    http: httpx.AsyncClient, edge: Edge, address: str, logs: list[EventDict]
) -> None:
    message_id = await unconfirmed(edge, "p0")

    assert await post(http, address, body_of(*(echo(message_id, 0) for _ in range(2_300)))) == 200

    calls = [line for line in logs if line["event"] == "receipts_recorded"]
    assert [sum((line["recorded"], line["already_known"])) for line in calls] == [1_000, 1_000, 300]


async def test_a_body_without_receipts_is_answered_with_200(http: httpx.AsyncClient, address: str) -> None:
    person_writes = {"sender": {"id": "7001"}, "message": {"mid": "m_9", "text": "Hi"}}

    assert await post(http, address, body_of(person_writes)) == 200
    assert await post(http, address, b'{"object": "instagram", "entry": []}') == 200


async def test_a_signed_body_that_cannot_be_read_is_a_bad_request(http: httpx.AsyncClient, address: str) -> None:
    assert await post(http, address, b"[1, 2") == 400


async def test_no_part_of_a_body_and_no_secret_is_logged(
    http: httpx.AsyncClient, edge: Edge, address: str, logs: list[EventDict]
) -> None:
    message_id = await unconfirmed(edge, "p0")
    await post(http, address, body_of(echo(message_id, 0, text="a private text")))
    await post(http, address, b'{"object": "page", "entry": "a private text"}')
    await post(http, address, body_of({"a private text": "a private text"}))
    await http.get(address, params={"hub.mode": "subscribe", "hub.verify_token": "a private text"})

    [odd] = [line for line in logs if line["event"] == "webhook_parts_not_understood"]
    assert odd["parts"] == {"unknown_kind": 1}
    assert not any(word in repr(logs) for word in ("private", APP_SECRET, VERIFY_TOKEN))
    assert APP_SECRET not in repr(settings(edge.address))


# Callers without credentials


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": "sha1=" + "0" * 40},
        signed(b"another body"),
        signed(b"{}", secret="another secret"),
    ],
    ids=["none", "empty", "no digest", "zeros", "sha1", "another body", "another secret"],
)
async def test_a_body_without_a_valid_signature_is_refused(
    http: httpx.AsyncClient, edge: Edge, address: str, headers: dict[str, str]
) -> None:
    message_id = await unconfirmed(edge, "p0")

    answer = await http.post(address, content=body_of(echo(message_id, 0)), headers=headers)

    assert (answer.status_code, answer.text) == (403, "")
    assert await counts(edge, message_id) == Counts(total=1, unconfirmed=1)


async def test_a_request_without_a_signature_is_refused_before_its_body(address: str) -> None:
    """The endpoint reads no part of the body."""
    url = httpx.URL(address)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")

    assert (await reader.readline()).startswith(b"HTTP/1.1 403")

    writer.close()
    await writer.wait_closed()


async def test_a_body_that_is_too_large_is_refused(http: httpx.AsyncClient, address: str) -> None:
    assert await post(http, address, b"x" * (MAX_BODY + 1)) == 413


async def test_a_missing_body_ends_with_a_timeout(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.webhooks.app.BODY_SECONDS", 0.1)
    url = httpx.URL(address)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    signature = signed(b"")["X-Hub-Signature-256"]
    head = f"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nX-Hub-Signature-256: {signature}\r\n\r\n"
    writer.write(head.encode())

    assert (await reader.readline()).startswith(b"HTTP/1.1 408")

    writer.close()
    await writer.wait_closed()


async def test_other_paths_and_methods_are_not_found(http: httpx.AsyncClient, address: str) -> None:
    assert (await http.get(httpx.URL(address).join("/"))).status_code == 404
    assert (await http.delete(address)).status_code == 405


# An unavailable server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_bodies_are_answered_with_503_while_the_server_is_unavailable(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, logs: list[EventDict]
) -> None:
    monkeypatch.setattr("server.webhooks.runner.CALL_SECONDS", 0.5)
    async with running_webhooks(settings(f"127.0.0.1:{free_port()}")) as address:
        assert await post(http, address, body_of(echo("m-1", 0))) == 503

    assert [line["code"] for line in logs if line["event"] == "receipts_not_recorded"] == ["UNAVAILABLE"]


async def test_a_token_of_the_earlier_release_is_named_in_the_log(
    http: httpx.AsyncClient, tmp_path: Path, logs: list[EventDict]
) -> None:
    """Its scope `pages` no longer allows receipts: the platform repeats them until the token is replaced."""
    callers = Callers(tmp_path)
    async with guarded_edge(callers) as edge:
        before = callers.token("webhooks", Scope.PAGES)
        async with running_webhooks(msgspec.structs.replace(settings(edge.address), token=before)) as address:
            assert await post(http, address, body_of(echo("m-1", 0))) == 503
        now = callers.token("webhooks", Scope.RECEIPTS)
        async with running_webhooks(msgspec.structs.replace(settings(edge.address), token=now)) as address:
            assert await post(http, address, body_of(echo("m-1", 0))) == 200

    [line] = [line for line in logs if line["event"] == "receipts_not_recorded"]
    assert (line["code"], line["reason"]) == ("PERMISSION_DENIED", "SCOPE_MISSING")
    assert "the scope 'receipts'" in line["mend"]
    assert not any(token in repr(logs) for token in (before, now))


async def test_receipts_in_progress_are_answered_before_the_endpoint_stops(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slowly(_client: Client, receipts: Sequence[Receipt]) -> RecordReceiptsResponse:
        asked.set()
        await go.wait()
        return RecordReceiptsResponse(recorded=len(receipts))

    monkeypatch.setattr(Client, "record_receipts", slowly)
    async with running_webhooks(settings("127.0.0.1:1")) as address:
        posting = asyncio.create_task(post(http, address, body_of(echo("m-1", 0))))
        await asked.wait()
        asyncio.get_running_loop().call_later(0.1, go.set)  # while the endpoint stops

    assert await posting == 200
