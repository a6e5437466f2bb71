"""The HTTP clients: one for sending, shared by all pages, and a small one for token checks.

Also reads responses up to a size limit, and classifies requests that got no response.
"""

import asyncio
import errno
import socket
import ssl
import zlib
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import cast

import aiohttp
import httpx
import msgspec

from domain.classification import classify_no_answer, classify_no_connection
from domain.outcome import Failed, Unconfirmed

# Seconds. `pool` limits the name look-up, the connection and TLS together, and the wait for a free connection.
TIMEOUT = httpx.Timeout(connect=5.0, read=30.0, write=10.0, pool=10.0)
# Seconds that a request waits for a free connection. Short, because its worker checked its lease just before.
CONNECTION_WAIT_SECONDS = 1.0
CONNECTIONS = 500
# For token checks. They have a client of their own, so that many checks cannot delay messages.
CHECK_CONNECTIONS = 16
CHECK_SECONDS = 10.0
# A request on a connection that the platform is closing has an unknown outcome, so idle connections are closed early.
_KEEPALIVE_SECONDS = 15.0

# Bytes of a response, as received and after decompression. The largest responses are those to a Graph batch: 50 parts,
# each with about 15 headers and an error of a kilobyte, all quoted in JSON: about 300 KB.
MAX_RESPONSE_BYTES = 1024 * 1024
_MAX_CODINGS = 2
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class NoFreeConnectionError(Exception):
    """All connections of a client were in use for as long as a request waits for one."""


class ResponseTooLargeError(Exception):
    """The response has more than MAX_RESPONSE_BYTES: its content is unknown."""


class HttpClient(httpx.AsyncBaseTransport):
    """An httpx transport over one aiohttp session; it reads a response whole and raises aiohttp's own exceptions.

    It also raises NoFreeConnectionError after `connection_wait_seconds`, and ResponseTooLargeError.

    It replaces `httpx.AsyncClient` over httpx-aiohttp, which costs 300 microseconds per message; this costs a third.
    It follows no redirect, keeps no cookie and uses no proxy.
    """

    def __init__(self, session: aiohttp.ClientSession, *, max_connections: int, connection_wait_seconds: float) -> None:
        self._session = session
        self._free = asyncio.Semaphore(max_connections)
        self._connection_wait_seconds = connection_wait_seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once, with the time-outs of the session."""
        await self._acquire_connection()
        try:
            return await self._exchange(request)
        finally:
            self._free.release()

    async def _acquire_connection(self) -> None:
        """Wait for a free connection here: aiohttp does not distinguish this wait from one for the platform."""
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._connection_wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise NoFreeConnectionError from None

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        response = await self._session.request(
            request.method,
            str(request.url),
            headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
            data=request.read() or None,
            allow_redirects=False,
        )
        try:
            content = await read_bounded(response.content.iter_any())
        except BaseException:
            response.close()  # what else arrives on this connection does not belong to the next request
            raise
        return httpx.Response(response.status, headers=response.raw_headers, stream=httpx.ByteStream(content))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


def open_client(
    *,
    max_connections: int = CONNECTIONS,
    timeout: httpx.Timeout = TIMEOUT,
    connection_wait_seconds: float = CONNECTION_WAIT_SECONDS,
) -> HttpClient:
    """Open a client that follows no redirect and repeats no POST; close it with `aclose` or `async with`.

    It uses aiohttp because stock httpx becomes slow from about 10 connections on. aiohttp repeats a request whose
    connection was closed, but only a GET or another idempotent one. TLS is verified; proxies of the environment are
    not used.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=httpx.create_ssl_context())
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(connect=timeout.pool, sock_connect=timeout.connect, sock_read=timeout.read),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    return HttpClient(session, max_connections=max_connections, connection_wait_seconds=connection_wait_seconds)


def open_check_client() -> HttpClient:
    """Open the client for token checks; close it like the other one."""
    timeout = httpx.Timeout(connect=TIMEOUT.connect, read=CHECK_SECONDS, write=CHECK_SECONDS, pool=CHECK_SECONDS)
    return open_client(max_connections=CHECK_CONNECTIONS, timeout=timeout, connection_wait_seconds=CHECK_SECONDS)


def timeout_with_read(seconds: float) -> httpx.Timeout:
    """Return TIMEOUT with another time limit for the platform's response."""
    return httpx.Timeout(connect=TIMEOUT.connect, read=seconds, write=TIMEOUT.write, pool=TIMEOUT.pool)


class HttpResponse(msgspec.Struct, frozen=True, gc=False):
    """A response of any status; header names are in lower case, and of several with one name the last counts."""

    status: int
    headers: Mapping[str, str]
    content: bytes


async def read_response(response: httpx.Response) -> HttpResponse:
    """Read a whole response; raises the connection's exceptions, ResponseTooLargeError and httpx.DecodingError."""
    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}
    stream = cast("httpx.AsyncByteStream", response.stream)  # an async transport has no other
    try:
        content = await read_bounded(stream)
    finally:
        await stream.aclose()
    if "content-encoding" in headers:
        content = _decode(content, headers["content-encoding"])
    return HttpResponse(response.status_code, headers, content)


async def read_bounded(chunks: AsyncIterable[bytes]) -> bytes:
    """Return all chunks as one; raises ResponseTooLargeError."""
    read: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            raise ResponseTooLargeError
        read.append(chunk)
    return b"".join(read)


def _decode(content: bytes, header: str) -> bytes:
    """Undo the codings of Content-Encoding, the last one first; only those that requests accept."""
    codings = [coding for name in header.split(",") if (coding := name.strip().lower()) not in ("", "identity")]
    if len(codings) > _MAX_CODINGS:
        raise httpx.DecodingError(f"the answer is encoded {len(codings)} times")
    for coding in reversed(codings):
        content = _decompress(content, coding)
    return content


def _decompress(content: bytes, coding: str) -> bytes:
    if coding not in _WINDOW_BITS:
        raise httpx.DecodingError("the answer has a coding that was not asked for")
    try:
        return _inflate(content, _WINDOW_BITS[coding])
    except zlib.error as error:
        if coding != "deflate":
            raise httpx.DecodingError(str(error)) from error
    try:
        return _inflate(content, -zlib.MAX_WBITS)  # some servers omit the zlib frame
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error


def _inflate(content: bytes, window_bits: int) -> bytes:
    decompressor = zlib.decompressobj(window_bits)
    inflated = decompressor.decompress(content, MAX_RESPONSE_BYTES + 1)
    if len(inflated) > MAX_RESPONSE_BYTES:
        raise ResponseTooLargeError
    if not decompressor.eof:
        raise zlib.error("the answer is cut off")
    return inflated


_NO_FREE_CONNECTION = (NoFreeConnectionError, httpx.PoolTimeout)
# Descriptors of the process and of the machine, memory, buffers, and local ports.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
# All errors of a name look-up but those that say that the name does not exist.
_LOOK_UP_SHORTAGES = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM})

_NEVER_LEFT = (
    aiohttp.ClientConnectorError,  # refused, unreachable, unknown host, TLS
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
)
# The first kind that fits gives the reason. An exception's own text is not used: it may quote a URL with secrets.
_UNCONNECTED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (socket.gaierror, "the name of the platform's host could not be looked up"),
    (ConnectionRefusedError, "the platform's address refuses connections"),
    (ssl.SSLCertVerificationError, "the certificate at the platform's address cannot be trusted"),
    (ssl.SSLError, "the TLS handshake with the platform's address failed"),
    ((aiohttp.InvalidURL, httpx.UnsupportedProtocol), "the platform's address is not a web address"),
    ((TimeoutError, httpx.TimeoutException), "it took longer than the time limit"),
)
_UNREACHABLE = "the platform's address cannot be reached"
_UNANSWERED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (ResponseTooLargeError, f"the response has more than {MAX_RESPONSE_BYTES:,} bytes"),
    ((TimeoutError, httpx.TimeoutException), "no response arrived within the time limit"),
    ((aiohttp.ClientPayloadError, httpx.ReadError), "the response broke off"),
    ((aiohttp.ClientResponseError, httpx.DecodingError), "the response cannot be read"),
    (
        (aiohttp.ClientConnectionError, httpx.TransportError, ConnectionError),
        "the connection broke before a response arrived",
    ),
)
_UNEXPECTED = "an unexpected error occurred in the server"


def local_shortage(error: Exception) -> str | None:
    """Return the resource that this machine lacked to send a request; None if it lacked none.

    A shortage of connections, file descriptors, memory, ports or name look-ups says nothing about the platform, and
    nothing about the next attempt.
    """
    if isinstance(error, _NO_FREE_CONNECTION):
        return "no connection was free"
    if isinstance(error, RuntimeError) and error.args == ("can't start new thread",):  # the thread for name look-ups
        return "this machine cannot start another thread"
    reason = getattr(error, "os_error", None)
    if isinstance(reason, socket.gaierror):
        return "the name of the platform's host cannot be looked up now" if reason.errno in _LOOK_UP_SHORTAGES else None
    if isinstance(reason, OSError) and reason.errno in _SHORTAGES:
        return f"this machine cannot open another connection ({errno.errorcode[reason.errno]})"
    return None


def outcome_without_response(error: Exception) -> Failed | Unconfirmed:
    """Return Failed if no connection was made; after any other error the message may have arrived: Unconfirmed."""
    if isinstance(error, _NEVER_LEFT):
        reason = getattr(error, "os_error", error)
        return classify_no_connection(
            next((text for kind, text in _UNCONNECTED if isinstance(reason, kind)), _UNREACHABLE)
        )
    return classify_no_answer(next((text for kind, text in _UNANSWERED if isinstance(error, kind)), _UNEXPECTED))
