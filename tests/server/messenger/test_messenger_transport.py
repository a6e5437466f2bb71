"""Outcomes when the connection breaks after the request may have left; on real sockets."""

import asyncio
import datetime
import gzip
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from domain.fault import ErrorType, FaultScope, RetryRule
from domain.outcome import Outcome, Sent, Unconfirmed
from server.messenger.channel import OutgoingMessage, PageCredentials
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel

RealChannel = Callable[[str], MessengerChannel]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[Conversation], AbstractAsyncContextManager[str]]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
    return head + await reader.readexactly(length)


def answering(reply: bytes) -> Conversation:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(reply)
        await writer.drain()

    return conversation


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def reset_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


async def reset_after_reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    reset(writer)


async def hang_up_after_reading(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def reset_while_answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    await writer.drain()
    reset(writer)


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await reader.read()  # until the client closes the connection


def assert_network_fault(outcome: Outcome) -> None:
    assert not isinstance(outcome, Sent)
    fault = outcome.fault
    assert (fault.type, fault.scope, fault.retry) == (ErrorType.NETWORK, FaultScope.TRANSPORT, RetryRule.AUTOMATIC)
    assert (fault.code, fault.subcode) == (0, 0)
    assert fault.message


@pytest.mark.parametrize(
    "conversation",
    [
        pytest.param(reset_at_once, id="reset before anything was read"),
        pytest.param(reset_after_reading, id="reset after the request was read"),
        pytest.param(hang_up_after_reading, id="closed after the request was read"),
        pytest.param(say_nothing, id="read time-out"),
        pytest.param(answering(b"\x00\x01nonsense\r\n\r\n"), id="no HTTP"),
        pytest.param(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), id="cut off"),
        pytest.param(reset_while_answering, id="reset within the answer"),
        pytest.param(answering(http("200 OK", b"{}", "Content-Encoding: gzip")), id="not gzip"),
        pytest.param(answering(http("200 OK", b"")), id="empty"),
        pytest.param(answering(http("200 OK", b"<html>captive</html>")), id="a page under 200"),
        pytest.param(answering(http("200 OK", b'{"recipient_id":"psid-1"}')), id="no message id"),
        pytest.param(answering(http("200 OK", b'{"message_id":7}')), id="a message id of another kind"),
        pytest.param(answering(http("500 Oops", b'{"message_id":"m_1"}')), id="a success under 500"),
        pytest.param(answering(http("502 Bad Gateway", b"<html>502</html>")), id="a page under 502"),
        pytest.param(answering(http("503 Unavailable", b"")), id="empty under 503"),
        pytest.param(answering(http("400 Bad Request", b"<html>400</html>")), id="a page under 400"),
        pytest.param(answering(http("302 Found", b"", "Location: http://127.0.0.1:1/")), id="redirect"),
    ],
)
async def test_a_request_that_may_have_arrived_is_unconfirmed(
    conversation: Conversation,
    serve: Serve,
    real_channel: RealChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    async with serve(conversation) as url:
        outcome = (await real_channel(url).send(credentials, message)).outcome
    assert isinstance(outcome, Unconfirmed)
    assert_network_fault(outcome)


@pytest.mark.parametrize(
    ("conversation", "text"),
    [
        (reset_after_reading, "the connection broke before a response arrived"),
        (hang_up_after_reading, "the connection broke before a response arrived"),
        (say_nothing, "no response arrived within the time limit"),
        (answering(b"\x00\x01nonsense\r\n\r\n"), "the response cannot be read"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), "the response broke off"),
        (answering(http("200 OK", b"{}", "Content-Encoding: gzip")), "the response cannot be read"),
    ],
    ids=["reset", "closed", "time-out", "no HTTP", "cut off", "not gzip"],
)
async def test_the_error_message_describes_the_transport_fault(
    conversation: Conversation,
    text: str,
    serve: Serve,
    real_channel: RealChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    async with serve(conversation) as url:
        outcome = (await real_channel(url).send(credentials, message)).outcome
    assert isinstance(outcome, Unconfirmed)
    assert outcome.fault.message == f"no answer: {text}"


async def test_a_missing_answer_ends_at_the_clients_timeout(
    serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    async with serve(say_nothing) as url, asyncio.timeout(10):  # the channel's deadline is 60 seconds
        outcome = (await real_channel(url).send(credentials, message)).outcome
    assert isinstance(outcome, Unconfirmed)


async def test_an_exchange_ends_at_its_deadline_before_the_clients_timeouts(
    serve: Serve, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    async with serve(say_nothing) as url, open_client(timeout=httpx.Timeout(5.0)) as client:
        channel = MessengerChannel(client, url, deadline=datetime.timedelta(seconds=0.1))
        async with asyncio.timeout(3):  # the client's own timeout is 5 seconds
            outcome = (await channel.send(credentials, message)).outcome
    assert isinstance(outcome, Unconfirmed)
    assert outcome.fault.message == "no answer: no response arrived within the time limit"


async def test_a_send_on_a_broken_keep_alive_connection_is_not_repeated(
    serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    requests: list[bytes] = []
    success = b'{"recipient_id":"psid-1","message_id":"m_1"}'

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(success), success))
        requests.append(await read_request(reader))  # on the same connection, which then breaks

    async with serve(answer_once) as url:
        channel = real_channel(url)
        first = (await channel.send(credentials, message)).outcome
        second = (await channel.send(credentials, message)).outcome
    assert first == Sent("m_1")
    assert isinstance(second, Unconfirmed)
    assert len(requests) == 2


async def test_a_compressed_answer_is_read(
    serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    success = gzip.compress(b'{"recipient_id":"psid-1","message_id":"m_1"}')
    async with serve(answering(http("200 OK", success, "content-encoding: gzip"))) as url:
        outcome = (await real_channel(url).send(credentials, message)).outcome
    assert outcome == Sent("m_1")


async def test_a_cookie_is_not_stored(
    serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    requests: list[bytes] = []

    async def bake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(http("200 OK", b"{}", "Set-Cookie: session=of-another-page; Path=/"))

    async with serve(bake) as url:
        channel = real_channel(url.replace("127.0.0.1", "localhost"))  # cookie jars ignore plain IP addresses
        await channel.send(credentials, message)
        await channel.send(credentials, message)
    assert [b"cookie" in request.lower() for request in requests] == [False, False]


async def test_a_redirect_is_not_followed(
    serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    requests: list[bytes] = []

    async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(http("307 Temporary Redirect", b"", "Location: /elsewhere"))

    async with serve(redirect) as url:
        await real_channel(url).send(credentials, message)
    assert len(requests) == 1


async def test_a_batch_without_an_answer_leaves_every_part_unconfirmed(
    serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    async with serve(reset_after_reading) as url:
        attempts = await real_channel(url).send_batch(credentials, [message] * 3)
    assert len(attempts) == 3
    assert all(isinstance(attempt.outcome, Unconfirmed) for attempt in attempts)
