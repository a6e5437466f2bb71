"""Connections of the webhook endpoint: how many, for how long, and how many bytes each may bring.

The endpoint faces the internet. aiohttp alone waits for a half-sent head for ever, and takes any number of connections.
So each connection is guarded before aiohttp sees it: a head is handed on only when it is complete.
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
MAX_OF_PEER = 64  # at a time from one public address; a proxy's own (loopback, private) may have all
HEAD_BYTES = 16 * 1024  # request line and header fields
HEAD_SECONDS = 10.0  # for a head to come in
LIFE_SECONDS = 60.0  # of a connection: head, body, the server's answer, and the rest of a refused body
LINGER_SECONDS = 2.0  # for the rest of a body that was refused: a caller that still sends can read the answer
MAX_BYTES = 2 * 2**20  # that a connection hands on: the largest body, also in small chunks; what follows is dropped
PART_BYTES = 4_096  # that the handler reads at once
READ_BYTES = 65_536  # that wait in a connection for the endpoint to read them
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})", re.IGNORECASE)
_IN_CHUNKS = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


class Connections:
    """Counts connections, in all and by peer."""

    def __init__(self, refusals: RefusalLog) -> None:
        self.refusals = refusals
        self._total = 0
        self._of_peer: Counter[str] = Counter()

    def take(self, peer: str) -> bool:
        """Count a connection; False where its peer, or the endpoint, has as many as are allowed."""
        if self._total >= MAX_CONNECTIONS or (self._of_peer[peer] >= MAX_OF_PEER and _is_public(peer)):
            return False
        self._total += 1
        self._of_peer[peer] += 1
        return True

    def give_back(self, peer: str) -> None:
        """Count a connection no more."""
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
    """aiohttp's handler of a connection, but that an error shows neither a version nor a cause."""

    __slots__ = ()

    def feed(self, parts: deque[bytes]) -> None:
        """Take parts of one request in; what follows it on the connection is dropped, as it gets no answer.

        In small parts, and none is left: an error keeps what was being read until the collector finds it.
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
        """Return an empty answer; of the error its kind alone is logged, as its text may hold what the caller sent."""
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
    """Return how many bytes may follow a head; aiohttp decides what they mean, and buffers what is beyond them."""
    if _IN_CHUNKS.search(head):
        return MAX_BYTES
    return min(MAX_BYTES, max((int(digits) for digits in _LENGTH.findall(head)), default=0))


class GuardedConnection(asyncio.Protocol):
    """Hands a connection's bytes to a handler, within the limits of this module."""

    def __init__(self, connections: Connections, handler: QuietHandler) -> None:
        self._connections = connections
        self._handler = handler
        self._head = bytearray()
        self._allowed = 0  # bytes that the handler may still get, once the head is whole
        self._has_head = False
        self._peer: str | None = None  # while the connection is counted
        self._timers: list[asyncio.TimerHandle] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or answer 503 where there are too many connections."""
        self._transport = cast("asyncio.Transport", transport)
        peer = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._connections.take(peer):
            self._refuse("too_many_connections", HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._peer = peer
        loop = asyncio.get_running_loop()
        self._timers = [loop.call_later(HEAD_SECONDS, self._late_head), loop.call_later(LIFE_SECONDS, self._end)]
        self._handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Hand on what has come, once the head is whole."""
        if self._peer is None or self._transport.is_closing():
            return
        if not self._has_head:
            data = self._whole_head(data)
        size = min(len(data), self._allowed)
        self._allowed -= size
        parts = deque(data[start : min(start + PART_BYTES, size)] for start in range(0, size, PART_BYTES))
        del data
        self._handler.feed(parts)

    def _whole_head(self, data: bytes) -> bytes:
        """Return the head and what has come behind it; nothing while the head is not whole."""
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

    def _late_head(self) -> None:
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
        """Let the handler know, and count the connection no more."""
        for timer in self._timers:
            timer.cancel()
        if self._peer is None:
            return
        self._connections.give_back(self._peer)
        self._peer = None
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._handler.resume_writing()
