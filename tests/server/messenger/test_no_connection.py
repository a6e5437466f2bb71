"""Outcomes when no connection is established: the message did not leave, so it has failed; on real sockets."""

import asyncio
import datetime
import errno
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from domain.fault import ErrorType, FaultScope, RetryRule
from domain.outcome import Failed, Outcome, Sent, Unconfirmed
from server.messenger.channel import LocalShortageError, OutgoingMessage, PageCredentials, TokenUnchecked
from server.messenger.http import open_client
from server.messenger.messenger_channel import MessengerChannel

RealChannel = Callable[[str], MessengerChannel]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
BROKEN = "no answer: the connection broke before a response arrived"
UNEXPECTED = "no answer: an unexpected error occurred in the server"
TOO_LATE = "it took longer than the time limit"
Serve = Callable[[Conversation], AbstractAsyncContextManager[str]]


def assert_never_left(outcome: Outcome, reason: str) -> None:
    assert isinstance(outcome, Failed)
    fault = outcome.fault
    assert (fault.type, fault.scope, fault.retry) == (ErrorType.NETWORK, FaultScope.TRANSPORT, RetryRule.AUTOMATIC)
    assert fault.message == f"no connection: {reason}"


async def test_a_refused_connection_is_failed(
    real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening, so no other process gets the port
        channel = real_channel(f"http://127.0.0.1:{unused.getsockname()[1]}")
        attempts = [await channel.send(credentials, message), *await channel.send_batch(credentials, [message] * 2)]
        check = await channel.check_token(credentials)
    for attempt in attempts:
        assert_never_left(attempt.outcome, "the platform's address refuses connections")
    assert isinstance(check, TokenUnchecked)


async def test_an_unknown_host_is_failed(
    monkeypatch: pytest.MonkeyPatch, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = (await real_channel("http://nowhere.invalid").send(credentials, message)).outcome
    assert_never_left(outcome, "the name of the platform's host could not be looked up")


async def test_a_connection_that_is_not_established_in_time_is_failed(
    real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # fill the queue, so that the next connection gets no answer
        for connection in waiting:
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.connect(full.getsockname())
        outcome = (await real_channel(f"http://127.0.0.1:{full.getsockname()[1]}").send(credentials, message)).outcome
        for connection in waiting:
            connection.close()
    assert_never_left(outcome, TOO_LATE)


async def test_a_wait_without_a_free_connection_is_no_attempt(
    serve: Serve, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    taken = asyncio.Event()

    async def keep(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        taken.set()
        await reader.read()  # until the client closes the connection

    async with serve(keep) as url, open_client(max_connections=1, connection_wait_seconds=0.2) as client:
        channel = MessengerChannel(client, url)
        first = asyncio.create_task(channel.send(credentials, message))
        await taken.wait()
        for send in (channel.send(credentials, message), channel.send_batch(credentials, [message] * 2)):
            with pytest.raises(LocalShortageError, match="no connection was free"):
                await send
        assert await channel.check_token(credentials) == TokenUnchecked("no connection was free")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_returned_connection_is_free_again_after_any_outcome(
    serve: Serve, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with serve(hang_up) as url, open_client(max_connections=1, connection_wait_seconds=0.2) as client:
        channel = MessengerChannel(client, url)
        for _ in range(3):
            assert isinstance((await channel.send(credentials, message)).outcome, Unconfirmed)


async def test_a_process_without_file_descriptors_makes_no_attempt(
    serve: Serve, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    async def never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        raise AssertionError("something left")

    async with serve(never) as url:
        channel = real_channel(url)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(LocalShortageError, match="EMFILE"):
                await channel.send(credentials, message)
            check = await channel.check_token(credentials)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(check, TokenUnchecked)


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_SYSTEM, "System error"),
        socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"),
        socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"),
        RuntimeError("can't start new thread"),
    ],
    ids=str,
)
async def test_a_lookup_that_fails_on_this_machine_is_no_attempt(
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    real_channel: RealChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(LocalShortageError):
        await real_channel("http://graph.example").send(credentials, message)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL])
async def test_a_local_resource_shortage_is_no_attempt(
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    real_channel: RealChannel,
    credentials: PageCredentials,
    message: OutgoingMessage,
) -> None:
    async def fails(*_: object, **__: object) -> None:
        raise OSError(code, "lacking")

    monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", fails)
    with pytest.raises(LocalShortageError, match=errno.errorcode[code]):
        await real_channel("http://127.0.0.1:1").send(credentials, message)


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_an_untrusted_certificate_is_failed(
    tmp_path: Path, real_channel: RealChannel, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    requests: list[asyncio.StreamReader] = []

    def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(reader)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        outcome = (await real_channel(url).send(credentials, message)).outcome
    assert requests == []
    assert_never_left(outcome, "the certificate at the platform's address cannot be trusted")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (httpx.ConnectError("refused"), Failed, "no connection: the platform's address cannot be reached"),
        (httpx.ConnectTimeout("slow"), Failed, f"no connection: {TOO_LATE}"),
        (httpx.UnsupportedProtocol("ftp"), Failed, "no connection: the platform's address is not a web address"),
        (httpx.ReadTimeout("slow"), Unconfirmed, "no answer: no response arrived within the time limit"),
        (httpx.WriteError("broken"), Unconfirmed, BROKEN),
        (httpx.RemoteProtocolError("closed"), Unconfirmed, BROKEN),
        (RuntimeError("the client has been closed"), Unconfirmed, UNEXPECTED),
        (OSError("something else"), Unconfirmed, UNEXPECTED),
    ],
)
async def test_errors_of_other_transports_are_distinguished(
    error: Exception, kind: type[Outcome], text: str, credentials: PageCredentials, message: OutgoingMessage
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    channel = MessengerChannel(httpx.MockTransport(fail), "https://graph.facebook.com/v25.0")
    outcome = (await channel.send(credentials, message)).outcome
    assert not isinstance(outcome, Sent)
    assert (type(outcome), outcome.fault.message) == (kind, text)
