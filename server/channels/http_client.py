"""The HTTP client that all pages share."""

import aiohttp
import httpx

# Seconds. `pool` bounds the wait for a free connection, connecting included.
TIMEOUT = httpx.Timeout(connect=5.0, read=30.0, write=10.0, pool=10.0)
# A request on a connection that the platform is just closing has an unknown outcome, so idle ones are let go early.
_KEEPALIVE_SECONDS = 15.0


def answered_within(seconds: float) -> httpx.Timeout:
    """The usual time-outs, with another for the platform's answer."""
    return httpx.Timeout(connect=TIMEOUT.connect, read=seconds, write=TIMEOUT.write, pool=TIMEOUT.pool)


class HttpClient(httpx.AsyncBaseTransport):
    """httpx over one aiohttp session: a transport that reads an answer whole and raises aiohttp's own exceptions.

    A transport instead of an `httpx.AsyncClient` over httpx-aiohttp, as these two cost 300 microseconds a message, and
    this costs a third. It follows no redirect, keeps no cookie and knows no proxy.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request, once; its time-outs are the session's."""
        answer = await self._session.request(
            request.method,
            str(request.url),
            headers=[(name.decode("ascii"), value.decode("ascii")) for name, value in request.headers.raw],
            data=request.read() or None,
            allow_redirects=False,
        )
        content = await answer.read()
        return httpx.Response(answer.status, headers=answer.raw_headers, stream=httpx.ByteStream(content))

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._session.close()


def open_client(*, max_connections: int = 500, timeout: httpx.Timeout = TIMEOUT) -> HttpClient:
    """Opens a client that follows no redirect and repeats no POST; close it with `aclose` or `async with`.

    It goes over aiohttp, as stock httpx slows down from about 10 connections on. aiohttp repeats a request whose
    connection turned out to be closed, but a GET and its like only. TLS is verified; proxies of the environment are not
    used.
    """
    connector = aiohttp.TCPConnector(
        limit=max_connections, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=httpx.create_ssl_context()
    )
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(connect=timeout.pool, sock_connect=timeout.connect, sock_read=timeout.read),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    return HttpClient(session)
