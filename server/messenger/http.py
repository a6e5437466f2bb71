"""The HTTP client that all pages share, and the small one that tokens are tried with."""

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

# Seconds. `pool` bounds looking up the host, connecting and TLS together, and the wait for a free connection.
TIMEOUT = httpx.Timeout(connect=5.0, read=30.0, write=10.0, pool=10.0)
# Seconds that a request waits for a free connection: its worker made sure of its lease just before.
FREE_SECONDS = 1.0
CONNECTIONS = 500
# For trying tokens: they take nothing from what sends, however many are tried while the platform does not answer.
CHECK_CONNECTIONS = 16
CHECK_SECONDS = 10.0
# A request on a connection that the platform is just closing has an unknown outcome, so idle ones are let go early.
_KEEPALIVE_SECONDS = 15.0


def answered_within(seconds: float) -> httpx.Timeout:
    """The usual time-outs, with another for the platform's answer."""
    return httpx.Timeout(connect=TIMEOUT.connect, read=seconds, write=TIMEOUT.write, pool=TIMEOUT.pool)


class HttpClient(httpx.AsyncBaseTransport):
    """httpx over one aiohttp session: a transport that reads an answer whole and raises aiohttp's own exceptions.

    It raises NoFreeConnectionError when all connections are in use for so many seconds, and AnswerTooLargeError.

    A transport instead of an `httpx.AsyncClient` over httpx-aiohttp, as these two cost 300 microseconds a message, and
    this costs a third. It follows no redirect, keeps no cookie and knows no proxy.
    """

    def __init__(self, session: aiohttp.ClientSession, *, max_connections: int, free_seconds: float) -> None:
        self._session = session
        self._free = asyncio.Semaphore(max_connections)
        self._free_seconds = free_seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request, once; its time-outs are the session's."""
        await self._take_connection()
        try:
            return await self._exchange(request)
        finally:
            self._free.release()

    async def _take_connection(self) -> None:
        """Wait here: aiohttp does not distinguish the wait for a free connection from one for the platform."""
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._free_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise NoFreeConnectionError from None

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        answer = await self._session.request(
            request.method,
            str(request.url),
            headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
            data=request.read() or None,
            allow_redirects=False,
        )
        try:
            content = await read_bounded(answer.content.iter_any())
        except BaseException:
            answer.close()  # whatever else comes on this connection is not for the next request
            raise
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(content))

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._session.close()


def open_check_client() -> HttpClient:
    """Opens the client that tokens are tried with; close it as the other one."""
    timeout = httpx.Timeout(connect=TIMEOUT.connect, read=CHECK_SECONDS, write=CHECK_SECONDS, pool=CHECK_SECONDS)
    return open_client(max_connections=CHECK_CONNECTIONS, timeout=timeout, free_seconds=CHECK_SECONDS)


def open_client(
    *, max_connections: int = CONNECTIONS, timeout: httpx.Timeout = TIMEOUT, free_seconds: float = FREE_SECONDS
) -> HttpClient:
    """Opens a client that follows no redirect and repeats no POST; close it with `aclose` or `async with`.

    It goes over aiohttp, as stock httpx slows down from about 10 connections on. aiohttp repeats a request whose
    connection turned out to be closed, but a GET and its like only. TLS is verified; proxies of the environment are not
    used.
    """
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=httpx.create_ssl_context())
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(connect=timeout.pool, sock_connect=timeout.connect, sock_read=timeout.read),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    return HttpClient(session, max_connections=max_connections, free_seconds=free_seconds)


# What came back for one request, read whole and no further than a limit.


# Bytes, as they come and once they are decompressed. The largest answers are those to a Graph batch: 50 parts, each
# with about 15 headers and an error of a kilobyte, all of it quoted in JSON: some 300 KB.
MAX_ANSWER_BYTES = 1024 * 1024
_MOST_CODINGS = 2
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class AnswerTooLargeError(Exception):
    """The answer has more bytes than are read: what it says is unknown."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """An answer of any status; headers by their names in lower case, of several by one name the last."""

    status: int
    headers: Mapping[str, str]
    content: bytes


async def read_answer(response: httpx.Response) -> Answer:
    """Read a whole response; raises what the connection raises, AnswerTooLargeError and httpx.DecodingError."""
    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}
    stream = cast("httpx.AsyncByteStream", response.stream)  # an async transport gives no other
    try:
        content = await read_bounded(stream)
    finally:
        await stream.aclose()
    if "content-encoding" in headers:
        content = _decoded(content, headers["content-encoding"])
    return Answer(response.status_code, headers, content)


async def read_bounded(chunks: AsyncIterable[bytes]) -> bytes:
    """Return all that comes; raises AnswerTooLargeError."""
    read: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise AnswerTooLargeError
        read.append(chunk)
    return b"".join(read)


def _decoded(content: bytes, header: str) -> bytes:
    """Undo the codings of Content-Encoding, the last one first; only those that requests ask for."""
    codings = [coding for name in header.split(",") if (coding := name.strip().lower()) not in ("", "identity")]
    if len(codings) > _MOST_CODINGS:
        raise httpx.DecodingError(f"the answer is encoded {len(codings)} times")
    for coding in reversed(codings):
        content = _inflated(content, coding)
    return content


def _inflated(content: bytes, coding: str) -> bytes:
    if coding not in _WINDOW_BITS:
        raise httpx.DecodingError("the answer has a coding that was not asked for")
    try:
        return _inflate(content, _WINDOW_BITS[coding])
    except zlib.error as error:
        if coding != "deflate":
            raise httpx.DecodingError(str(error)) from error
    try:
        return _inflate(content, -zlib.MAX_WBITS)  # some servers leave the frame of zlib out
    except zlib.error as error:
        raise httpx.DecodingError(str(error)) from error


def _inflate(content: bytes, window_bits: int) -> bytes:
    inflating = zlib.decompressobj(window_bits)
    inflated = inflating.decompress(content, MAX_ANSWER_BYTES + 1)
    if len(inflated) > MAX_ANSWER_BYTES:
        raise AnswerTooLargeError
    if not inflating.eof:
        raise zlib.error("the answer is cut off")
    return inflated


# A request that got no answer: had it left, or not, and why in words.
#
# What this machine lacks itself, a free connection, a file descriptor or the service that looks up names, is no answer
# of the platform's, and says nothing about the next attempt: see nothing_left.


class NoFreeConnectionError(Exception):
    """All connections of a client were in use for as long as a request waits for one."""


_NO_FREE_CONNECTION = (NoFreeConnectionError, httpx.PoolTimeout)
# Descriptors of the process and of the machine, memory, buffers, and local ports.
_LACKS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
# Of looking up a name, all but those that say that there is no such name.
_LOOK_UP_LACKS = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM})

_NEVER_LEFT = (
    aiohttp.ClientConnectorError,  # refused, unreachable, unknown host, TLS
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
)
# The first that fits is said: no text of an exception is, as it may show an address with what stands in it.
_UNCONNECTED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (socket.gaierror, "the name of the platform's host could not be looked up"),
    (ConnectionRefusedError, "nobody accepts connections at the platform's address"),
    (ssl.SSLCertVerificationError, "the certificate at the platform's address cannot be trusted"),
    (ssl.SSLError, "no TLS could be agreed on with the platform's address"),
    ((aiohttp.InvalidURL, httpx.UnsupportedProtocol), "the platform's address is no web address"),
    ((TimeoutError, httpx.TimeoutException), "none came about within the time limit"),
)
_UNREACHABLE = "the platform's address cannot be reached"
_UNANSWERED: Sequence[tuple[type[Exception] | tuple[type[Exception], ...], str]] = (
    (AnswerTooLargeError, f"what came has more than {MAX_ANSWER_BYTES:,} bytes"),
    ((TimeoutError, httpx.TimeoutException), "none came within the time limit"),
    ((aiohttp.ClientPayloadError, httpx.ReadError), "the answer broke off"),
    ((aiohttp.ClientResponseError, httpx.DecodingError), "what came cannot be read"),
    (
        (aiohttp.ClientConnectionError, httpx.TransportError, ConnectionError),
        "the connection broke before an answer came",
    ),
)
_UNEXPECTED = "something unexpected went wrong on this side"


def nothing_left(error: Exception) -> str | None:
    """Return what this machine lacked to let a request leave, in words; None where it lacked nothing."""
    if isinstance(error, _NO_FREE_CONNECTION):
        return "no connection was free"
    if isinstance(error, RuntimeError) and error.args == ("can't start new thread",):  # one that looks up the host
        return "this machine has no means for another thread"
    reason = getattr(error, "os_error", None)
    if isinstance(reason, socket.gaierror):
        return "the name of the platform's host cannot be looked up now" if reason.errno in _LOOK_UP_LACKS else None
    if isinstance(reason, OSError) and reason.errno in _LACKS:
        return f"this machine has no means for another connection ({errno.errorcode[reason.errno]})"
    return None


def no_answer(error: Exception) -> Failed | Unconfirmed:
    """Failed only where no connection came about; whatever else went wrong, the message may have arrived."""
    if isinstance(error, _NEVER_LEFT):
        reason = getattr(error, "os_error", error)
        return classify_no_connection(
            next((words for kind, words in _UNCONNECTED if isinstance(reason, kind)), _UNREACHABLE)
        )
    return classify_no_answer(next((words for kind, words in _UNANSWERED if isinstance(error, kind)), _UNEXPECTED))
