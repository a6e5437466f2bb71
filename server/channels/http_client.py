"""The HTTP client that all pages share."""

import httpx
from httpx_aiohttp import AiohttpTransport

# Seconds. `pool` bounds the wait for a free connection, connecting included.
TIMEOUT = httpx.Timeout(connect=5.0, read=30.0, write=10.0, pool=10.0)
# A request on a connection that the platform is just closing has an unknown outcome, so idle ones are let go early.
_KEEPALIVE_SECONDS = 15.0


def answered_within(seconds: float) -> httpx.Timeout:
    """The usual time-outs, with another for the platform's answer."""
    return httpx.Timeout(connect=TIMEOUT.connect, read=seconds, write=TIMEOUT.write, pool=TIMEOUT.pool)


def open_client(*, max_connections: int = 500, timeout: httpx.Timeout = TIMEOUT) -> httpx.AsyncClient:
    """Opens a client that follows no redirect and repeats no POST; close it with `aclose` or `async with`.

    It goes over aiohttp, as stock httpx slows down from about 10 connections on. aiohttp repeats a request whose
    connection turned out to be closed, but a GET and its like only. TLS is verified; proxies of the environment are not
    used.
    """
    limits = httpx.Limits(max_connections=max_connections, keepalive_expiry=_KEEPALIVE_SECONDS)
    return httpx.AsyncClient(transport=AiohttpTransport(limits=limits), timeout=timeout, follow_redirects=False)
