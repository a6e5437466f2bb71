"""Limits on connections, bytes and seconds of callers without credentials at the webhook endpoint."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from server.webhooks.app import MAX_BODY
from server.webhooks.connections import Connections
from server.webhooks.refusals import RefusalLog
from server.webhooks.runner import running_webhooks
from server.webhooks.settings import WebhookSettings
from tests.server.webhooks.raw_http import APP_SECRET, SUBSCRIBE, VERIFY_TOKEN, RawClient, post_head, signature_of
from tests.waiting import eventually

NOTHING_NEW = b'{"object": "page", "entry": []}'


@pytest.fixture
async def address(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr("server.webhooks.connections.LINGER_SECONDS", 0.05)
    settings = WebhookSettings(server="127.0.0.1:1", verify_token=VERIFY_TOKEN, app_secret=APP_SECRET)
    async with running_webhooks(settings) as listening:
        yield listening


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


async def status_of(address: str, *parts: bytes) -> int:
    async with RawClient(address) as caller:
        for part in parts:
            await caller.send(part)
        return await caller.status()


# Time


@pytest.mark.parametrize(
    ("incomplete", "status"),
    [
        (b"", 0),
        (b"P", 408),
        (b"POST /webhooks HTTP/1.1\r\nHost: x", 408),
        (b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n", 408),
        (b"\r\n", 408),
        (b"\x16\x03\x01\x02\x00\x01", 408),
    ],
)
async def test_an_incomplete_head_ends_with_a_timeout(
    address: str, monkeypatch: pytest.MonkeyPatch, incomplete: bytes, status: int
) -> None:
    monkeypatch.setattr("server.webhooks.connections.HEAD_SECONDS", 0.1)

    assert await status_of(address, incomplete) == status


async def test_a_head_sent_line_by_line_gets_no_more_time(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.webhooks.connections.HEAD_SECONDS", 0.3)
    async with RawClient(address) as caller:
        await caller.send(b"POST /webhooks HTTP/1.1\r\n")
        answer = asyncio.create_task(caller.status())
        for number in range(40):
            await caller.send(b"X-%d: 1\r\n" % number)
            await asyncio.wait([answer], timeout=0.05)

        assert await answer == 408


@pytest.mark.parametrize("parts", [(b"",), (b"{",), (b"{", b'"a"', b": ")])
@pytest.mark.parametrize("length", [1_000, "chunked"])
async def test_an_incomplete_body_ends_with_a_timeout(
    address: str, monkeypatch: pytest.MonkeyPatch, length: int | str, parts: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr("server.webhooks.app.BODY_SECONDS", 0.2)
    framed = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part] if length == "chunked" else parts

    assert await status_of(address, post_head(length), *framed) == 408


async def test_every_connection_has_a_maximum_duration(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.webhooks.connections.LIFE_SECONDS", 0.2)

    assert await status_of(address, post_head(1_000), b"{") == 0


# Bytes


@pytest.mark.parametrize("more", [1, 15 * 2**20, 2**40])
async def test_a_body_announced_as_too_large_is_refused_unread(address: str, more: int) -> None:
    assert await status_of(address, post_head(MAX_BODY + more)) == 413


async def test_a_chunked_body_is_read_up_to_the_limit(address: str) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"

    assert await status_of(address, post_head("chunked"), *[chunk] * 40) == 413


@pytest.mark.parametrize("size", [1, 2, 1_000])
async def test_small_chunks_use_no_more_bytes_than_a_body(
    address: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The framing counts too: bytes beyond the limit are dropped, so the body is never complete."""
    monkeypatch.setattr("server.webhooks.app.BODY_SECONDS", 1.0)
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    async with RawClient(address) as caller:
        await caller.send(post_head("chunked"))
        await caller.send(chunk * (3 * MAX_BODY // size // 6))
        await caller.send(b"0\r\n\r\n")

        assert await caller.status(within=15) in (403, 408, 413)


async def test_the_largest_body_is_accepted(address: str) -> None:
    body = NOTHING_NEW.ljust(MAX_BODY)

    assert await status_of(address, post_head(len(body), signature=signature_of(body)), body) == 200


async def test_the_bytes_of_all_bodies_in_flight_are_bounded(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.webhooks.app.MAX_IN_FLIGHT", 100_000)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(RawClient(address))
        await first.send(post_head(90_001) + b"x" * 90_000)

        async def refused() -> int:
            return await status_of(address, post_head(20_000), b"x" * 20_000)

        assert await eventually(refused, lambda status: status == 503) == 503
        assert await status_of(address, post_head(1_000), b"x" * 1_000) == 403

        await first.send(b"x")
        assert await first.status() == 403
    assert await status_of(address, post_head(20_000), b"x" * 20_000) == 403


@pytest.mark.parametrize(
    "encoding", ["gzip", "GZIP", " gzip ", "deflate", "br", "zstd", "x-gzip", "identity, gzip", "gzip, gzip", "unknown"]
)
async def test_a_compressed_body_is_refused_unread(address: str, encoding: str) -> None:
    head = post_head(1_000, f"Content-Encoding: {encoding}")

    assert await status_of(address, head) == 415


@pytest.mark.parametrize("encoding", ["identity", "", "Identity"])
async def test_a_body_may_declare_that_it_is_not_compressed(address: str, encoding: str) -> None:
    head = post_head(len(NOTHING_NEW), f"Content-Encoding: {encoding}", signature=signature_of(NOTHING_NEW))

    assert await status_of(address, head, NOTHING_NEW) == 200


@pytest.mark.parametrize("size", [1_025, 8_000, 15_000])
async def test_a_long_query_is_refused(address: str, size: int) -> None:
    target = f"/webhooks?hub.challenge={'7' * size}"

    assert await status_of(address, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) in (400, 414)


async def test_an_endless_head_is_refused(address: str) -> None:
    lines = [b"X-%d: %b\r\n" % (number, b"x" * 1_000) for number in range(64)]

    assert await status_of(address, b"GET /webhooks HTTP/1.1\r\n", *lines) == 431


# Connections


async def test_connections_are_bounded_and_free_again_when_they_end(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.webhooks.connections.MAX_CONNECTIONS", 5)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            idle = await stack.enter_async_context(RawClient(address))
            await idle.send(b"GET /")
        await eventually(lambda: status_of(address, SUBSCRIBE.encode()), lambda status: status == 503)
        assert await status_of(address) == 503

    await eventually(lambda: status_of(address, SUBSCRIBE.encode()), lambda status: status == 200)


def test_a_public_address_has_a_share_of_the_connections_and_a_proxy_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.webhooks.connections.MAX_CONNECTIONS", 20)
    monkeypatch.setattr("server.webhooks.connections.MAX_OF_PEER", 3)

    def taken(*peers: str) -> int:
        connections = Connections(RefusalLog())
        return sum(connections.take(peer) for peer in peers)

    assert [taken(*[peer] * 30) for peer in ("1.2.3.4", "2606:4700::1", "1.2.3.4", "::ffff:1.2.3.4")] == [3, 3, 3, 3]
    assert [taken(*[peer] * 30) for peer in ("127.0.0.1", "10.1.2.3", "::1", "fd00::1", "fe80::1%eth0", "")] == [20] * 6
    assert taken(*[f"1.2.3.{number}" for number in range(30)]) == 20


def test_a_connection_that_ended_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.webhooks.connections.MAX_OF_PEER", 1)
    connections = Connections(RefusalLog())

    for _ in range(3):
        assert connections.take("1.2.3.4")
        assert not connections.take("1.2.3.4")
        connections.give_back("1.2.3.4")


async def test_a_connection_answers_one_request(address: str) -> None:
    """Bytes after the request are dropped."""
    async with RawClient(address) as caller:
        await caller.send(SUBSCRIBE.encode() * 2_000)

        answer = await caller.answer()

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"HTTP/1.1 200 OK\r\n" in answer
    assert b"Connection: close\r\n" in answer


async def test_bytes_after_an_upgrade_are_dropped(address: str) -> None:
    upgrade = SUBSCRIBE.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").encode()

    assert await status_of(address, upgrade, b"x" * 50_000) == 200


# Information


REFUSED = {
    "no such path": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no such method": b"DELETE /webhooks HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD": b"HEAD /webhooks HTTP/1.1\r\nHost: x\r\n\r\n",
    "OPTIONS": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "another version": b"GET /webhooks HTTP/9.9\r\nHost: x\r\n\r\n",
    "a bad field": b"GET /webhooks HTTP/1.1\r\nHost x\r\n\r\n",
    "two lengths": b"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a bad length": post_head("-1"),
    "an expectation": post_head(5, "Expect: tea"),
    "another token": b"GET /webhooks?hub.mode=subscribe&hub.verify_token=x HTTP/1.1\r\nHost: x\r\n\r\n",
    "no signature": post_head(1, signature="none"),
    "a made-up signature": post_head(1) + b"x",
    "too large": post_head(MAX_BODY + 1),
    "compressed": post_head(1, "Content-Encoding: gzip"),
    "a bad chunk": post_head("chunked") + b"zz\r\n",
    "no JSON": post_head(1, signature=signature_of(b"x")) + b"x",
    "a long line": b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a long head": b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000,
    "many fields": b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 500 + b"\r\n",
    "a verified subscription": SUBSCRIBE.encode(),
    "a body": post_head(len(NOTHING_NEW), signature=signature_of(NOTHING_NEW)) + NOTHING_NEW,
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
async def test_no_answer_names_a_program_or_a_version(address: str, request_: bytes) -> None:
    async with RawClient(address) as caller:
        await caller.send(request_)

        answer = await caller.answer()

    assert answer.startswith(b"HTTP/1.")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert not any(word in answer.lower() for word in (b"server:", b"aiohttp", b"python", b"traceback"))
    assert b"200 OK" in head or not body.strip() or b"417" in head


async def test_an_error_of_the_endpoint_shows_no_details(
    address: str, monkeypatch: pytest.MonkeyPatch, logs: list[EventDict]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a private text")

    monkeypatch.setattr("server.webhooks.app.read_body", broken)
    async with RawClient(address) as caller:
        await caller.send(post_head(1, signature=signature_of(b"x")) + b"x")

        answer = await caller.answer()

    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b"\r\n\r\n")
    assert "private" not in repr(logs) + answer.decode()


async def test_many_refusals_give_few_log_lines(
    address: str, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(30):
            assert (await http.post(address, content=b"x")).status_code == 403
        monkeypatch.setattr("server.webhooks.refusals.LINES_SECONDS", 0.0)
        assert (await http.get(address)).status_code == 403

    refused = [line for line in logs if line["event"] == "webhook_refused"]
    assert [(line["cause"], line["status"], line["times"]) for line in refused] == [
        ("no_signature", 403, 1),
        ("verify_token", 403, 1),
    ]


def test_a_log_line_has_the_number_of_refusals_since_the_last(
    logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 101.0, 109.0, 110.5])
    monkeypatch.setattr("server.webhooks.refusals.time.monotonic", lambda: next(clock))
    refusals = RefusalLog()

    for _ in range(4):
        refusals.add("signature", 403)

    assert [line["times"] for line in logs] == [1, 3]
