"""The HTTP client that all pages share, and the small one that tokens are tried with."""

import asyncio

import aiohttp
import httpx

from server.channels.answer import read_bounded
from server.channels.no_answer import NoFreeConnectionError

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
