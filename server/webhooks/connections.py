"""Limits on the connections of the webhook endpoint: their number, duration and bytes.

The endpoint faces the internet. aiohttp alone waits for ever for an incomplete header, and accepts any number of
connections. So a connection is limited before aiohttp sees it: aiohttp receives a header only when it is complete.
"""

import asyncio
import ipaddress
import logging
import re
from collections import Counter, deque
from http import HTTPStatus
from typing import Any, cast

from aiohttp import web

from server.webhooks.refusals import QuietResponse, RefusalLog

MAX_CONNECTIONS = 256  # at a time
MAX_OF_PEER = 64  # at a time from one public address; a proxy (loopback, private address) may have all
HEAD_BYTES = 16 * 1024  # request line and header fields
HEAD_SECONDS = 10.0  # to receive a header
LIFE_SECONDS = 60.0  # of a connection: head, body, the server's answer, and the rest of a refused body
LINGER_SECONDS = 2.0  # to read the rest of a refused body, so that the caller can read the answer
MAX_BYTES = 2 * 2**20  # passed on per connection: the largest body, also in small chunks; more is dropped
PART_BYTES = 4_096  # per read of the handler
READ_BYTES = 65_536  # buffered in a connection until the endpoint reads them
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})", re.IGNORECASE)
_IN_CHUNKS = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


class Connections:
    """Counts connections, in total and by peer."""

    def __init__(self, refusals: RefusalLog) -> None:
        self.refusals = refusals
        self._total = 0
        self._of_peer: Counter[str] = Counter()

    def take(self, peer: str) -> bool:
        """Count a connection; return False if its peer, or the endpoint, has reached the limit."""
        if self._total >= MAX_CONNECTIONS or (self._of_peer[peer] >= MAX_OF_PEER and _is_public(peer)):
            return False
        self._total += 1
        self._of_peer[peer] += 1
        return True

    def give_back(self, peer: str) -> None:
        """Uncount a connection."""
        self._total -= 1
        self._of_peer[peer] -= 1
        if not self._of_peer[peer]:
            del self._of_peer[peer]


def _is_public(peer: str) -> bool:
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_global
    except ValueError:
        return False


class QuietHandler(web.RequestHandler):
    """aiohttp's handler of a connection, with error answers that show neither a version nor a cause."""

    __slots__ = ()

    def feed(self, parts: deque[bytes]) -> None:
        """Pass on the parts of one request; bytes after it are dropped, because they get no answer.

        Parts are small and none is kept, because an error keeps what was being read until garbage collection.
        """
        while parts and self._request_count <= 1:
            self.data_received(parts.popleft())
        parts.clear()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Return an empty answer; log the type of the error, but not its text, which may quote the request."""
        self.logger.debug("request not answered: HTTP %d, %s", status, type(exc).__name__)
        response = QuietResponse(status=status)
        response.force_close()
        return response


def new_handler(server: web.Server) -> QuietHandler:
    """Return a handler of one connection. Nothing is decompressed: compressed bodies are refused."""
    no_access_log: Any = None
    return QuietHandler(
        server,
        loop=asyncio.get_running_loop(),
        access_log=no_access_log,
        logger=logging.getLogger("redrive.webhooks"),
        auto_decompress=False,
        read_bufsize=READ_BYTES,
        lingering_time=LINGER_SECONDS,
    )


def _most_of_body(head: bytes) -> int:
    """Return how many bytes may follow a header; aiohttp interprets them, and would buffer any more."""
    if _IN_CHUNKS.search(head):
        return MAX_BYTES
    return min(MAX_BYTES, max((int(digits) for digits in _LENGTH.findall(head)), default=0))


class GuardedConnection(asyncio.Protocol):
    """Passes a connection's bytes to a handler, within the limits of this module."""

    def __init__(self, connections: Connections, handler: QuietHandler) -> None:
        self._connections = connections
        self._handler = handler
        self._head = bytearray()
        self._allowed = 0  # bytes that may still be passed on, once the header is complete
        self._has_head = False
        self._peer: str | None = None  # while the connection is counted
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, or answer 503 if there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        peer = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._connections.take(peer):
            self._refuse("too_many_connections", HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._peer = peer
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(HEAD_SECONDS, self._end_late_header),
            loop.call_later(LIFE_SECONDS, self._end),
        ]
        self._handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on the received bytes once the header is complete."""
        if self._peer is None or self._transport.is_closing():
            return
        if not self._has_head:
            data = self._complete_head(data)
        size = min(len(data), self._allowed)
        self._allowed -= size
        parts = deque(data[start : min(start + PART_BYTES, size)] for start in range(0, size, PART_BYTES))
        del data
        self._handler.feed(parts)

    def _complete_head(self, data: bytes) -> bytes:
        """Return the header and the bytes after it; nothing until the header is complete."""
        self._head += data
        end = self._head.find(_END_OF_HEAD, 0, HEAD_BYTES)
        if end >= 0:
            self._timers[0].cancel()
            self._has_head = True
            data, self._head = bytes(self._head), bytearray()
            length = end + len(_END_OF_HEAD)
            self._allowed = length + _most_of_body(data[:length])
            return data
        if len(self._head) >= HEAD_BYTES:
            self._refuse("head_too_large", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        return b""

    def _end_late_header(self) -> None:
        if self._head:
            self._refuse("slow_head", HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._transport.close()  # it sent nothing at all

    def _end(self) -> None:
        self._connections.refusals.add("slow_connection", 0)
        self._transport.abort()

    def _refuse(self, cause: str, status: HTTPStatus) -> None:
        self._head = bytearray()
        self._connections.refusals.add(cause, status)
        lines = (f"HTTP/1.1 {status.value} {status.phrase}", "Content-Length: 0", "Connection: close", "", "")
        self._transport.write("\r\n".join(lines).encode())
        self._transport.close()

    def eof_received(self) -> bool | None:
        """Close, unless a request is being answered."""
        return self._has_head and self._peer is not None

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the handler, and uncount the connection."""
        for timer in self._timers:
            timer.cancel()
        if self._peer is None:
            return
        self._connections.give_back(self._peer)
        self._peer = None
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass the call on."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass the call on."""
        self._handler.resume_writing()
