"""Answers above the size limit give an unknown outcome and use little memory; on real sockets."""

import asyncio
import datetime
import functools
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from domain.outcome import Sent, Unconfirmed
from server.messenger.channel import OutgoingMessage, PageCredentials, TokenAccepted, TokenUnchecked
from server.messenger.http import MAX_RESPONSE_BYTES, ResponseTooLargeError, open_client, read_response
from server.messenger.messenger_channel import MessengerChannel

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[Conversation], AbstractAsyncContextManager[str]]
RealChannel = Callable[[str], MessengerChannel]

MIB = 1024 * 1024
SUCCESS = b'{"recipient_id":"psid-1","message_id":"m_1","id":"1001"}'
TOO_LARGE = "no answer: the response has more than 1,048,576 bytes"
MEMORY = 16 * MIB  # allowed for reading: several times the size limit, plus buffers


def padded(size: int) -> bytes:
    """Return a success of this many bytes."""
    return SUCCESS[:-1] + b" " * (size - len(SUCCESS)) + b"}"


@functools.cache
def bomb(window_bits: int, mebibytes: int = 400) -> bytes:
    """Return a compressed success that inflates to this size; it takes more than a second of CPU."""
    packing = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    packed = [packing.compress(SUCCESS[:-1]), *(packing.compress(b" " * MIB) for _ in range(mebibytes))]
    return b"".join([*packed, packing.compress(b"}"), packing.flush()])


async def request_of(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().splitlines():
        if line.startswith(b"content-length"):
            await reader.readexactly(int(line.split(b":")[1]))


def whole(body: bytes, *headers: str) -> Conversation:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return conversation


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Conversation:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return conversation


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, Callable[[], Conversation]] = {
    "chunked": lambda: endless(CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "until it is closed": lambda: endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b" " * 65_536),
    "with a length": lambda: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b" " * 65_536),
}
# Functions: only the process that runs a test makes its answer.
PACKED: dict[str, Callable[[], Conversation]] = {
    "gzip": lambda: whole(bomb(31), "Content-Encoding: gzip"),
    "x-gzip": lambda: whole(bomb(31), "Content-Encoding: x-gzip"),
    "deflate": lambda: whole(bomb(15), "Content-Encoding: deflate"),
    "deflate without a frame": lambda: whole(bomb(-15), "Content-Encoding: deflate"),
    "gzip of gzip": lambda: whole(gzip.compress(bomb(31)), "Content-Encoding: gzip, gzip"),
    "plain": lambda: whole(padded(MAX_RESPONSE_BYTES + 1)),
}
LARGE = PACKED | ENDLESS


@pytest.mark.parametrize("make_conversation", LARGE.values(), ids=LARGE)
async def test_an_answer_that_is_too_large_is_unconfirmed_and_uses_little_memory(
    make_conversation: Callable[[], Conversation],
    serve: Serve,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    conversation = make_conversation()
    async with serve(conversation) as url, open_client() as client, asyncio.timeout(10):
        channel = MessengerChannel(client, url)
        tracemalloc.start()
        try:
            single = await channel.send(credentials, message)
            together = await channel.send_batch(credentials, [message] * 3)
            check = await channel.check_token(credentials)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    for attempt in (single, *together):
        assert isinstance(attempt.outcome, Unconfirmed)
        assert attempt.outcome.fault.message == TOO_LARGE
    assert check == TokenUnchecked(TOO_LARGE)
    assert peak < MEMORY


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (padded(MAX_RESPONSE_BYTES), ()),
        (gzip.compress(padded(MAX_RESPONSE_BYTES)), ("Content-Encoding: gzip",)),
        (zlib.compress(SUCCESS), ("Content-Encoding: Deflate",)),
        (zlib.compress(SUCCESS)[2:-4], ("Content-Encoding: deflate",)),
        (gzip.compress(zlib.compress(SUCCESS)), ("Content-Encoding: deflate, gzip",)),
        (SUCCESS, ("Content-Encoding: identity",)),
    ],
    ids=["largest", "largest packed", "deflate", "deflate without a frame", "two codings", "identity"],
)
async def test_an_answer_of_the_maximum_size_is_read(
    body: bytes,
    headers: tuple[str, ...],
    serve: Serve,
    real_channel: RealChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    async with serve(whole(body, *headers)) as url:
        assert (await real_channel(url).send(credentials, message)).outcome == Sent("m_1")
        assert await real_channel(url).check_token(credentials) == TokenAccepted()


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip, gzip", "gzip, br", "compress"])
async def test_an_answer_with_an_unrequested_encoding_cannot_be_read(
    coding: str, serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    async with serve(whole(SUCCESS, f"Content-Encoding: {coding}")) as url:
        outcome = (await real_channel(url).send(credentials, message)).outcome
    assert isinstance(outcome, Unconfirmed)
    assert outcome.fault.message == "no answer: the response cannot be read"


@pytest.mark.parametrize(
    "conversation",
    [
        endless(CHUNKED, b"1\r\n \r\n", 0.02),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
        endless(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n", 0.02),
    ],
    ids=["body", "interim answers", "headers"],
)
async def test_a_slow_endless_answer_ends_at_the_deadline(
    conversation: Conversation, serve: Serve, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    deadline = datetime.timedelta(seconds=0.3)
    async with serve(conversation) as url, open_client() as client, asyncio.timeout(5):
        channel = MessengerChannel(client, url, deadline=deadline, check_deadline=deadline)
        outcome = (await channel.send(credentials, message)).outcome
        check = await channel.check_token(credentials)
    assert isinstance(outcome, Unconfirmed)
    assert isinstance(check, TokenUnchecked)


async def test_endless_headers_use_little_memory(
    serve: Serve, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    conversation = endless(b"HTTP/1.1 200 OK\r\n", (b"X-More: " + b"x" * 4_000 + b"\r\n") * 16)
    async with serve(conversation) as url, open_client() as client, asyncio.timeout(10):
        channel = MessengerChannel(client, url, deadline=datetime.timedelta(seconds=2))
        tracemalloc.start()
        try:
            outcome = (await channel.send(credentials, message)).outcome
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert isinstance(outcome, Unconfirmed)
    assert peak < MEMORY


async def test_the_limit_applies_to_other_transports() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65_536

    with pytest.raises(ResponseTooLargeError):
        await read_response(httpx.Response(200, content=pieces()))
