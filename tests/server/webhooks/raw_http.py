"""Raw HTTP connections to the webhook endpoint, as callers without credentials can make them."""

import asyncio
import hashlib
import hmac
from typing import Self

import httpx

APP_SECRET = "app-secret-7a6b"
VERIFY_TOKEN = "verify-me-5e4f"
SUBSCRIBE = (
    f"GET /webhooks?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=7 HTTP/1.1\r\nHost: x\r\n\r\n"
)
MADE_UP = "sha256=" + "0" * 64


def signature_of(body: bytes) -> str:
    """Return the platform's signature with the tests' secret."""
    return "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()


def post_head(length: int | str, *fields: str, signature: str = MADE_UP) -> bytes:
    """Return the head of a request; the length is a number or `chunked`."""
    framing = "Transfer-Encoding: chunked" if length == "chunked" else f"Content-Length: {length}"
    lines = ("POST /webhooks HTTP/1.1", "Host: x", framing, f"X-Hub-Signature-256: {signature}", *fields)
    return "\r\n".join((*lines, "", "")).encode()


class RawClient:
    """A caller with its own connection."""

    def __init__(self, address: str) -> None:
        url = httpx.URL(address)
        self._place = (url.host, url.port)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._place)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def send(self, data: bytes) -> bool:
        """Send any bytes; return False when the endpoint has closed the connection."""
        if self._writer.transport.is_closing():
            return False
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return False
        return True

    async def answer(self, within: float = 5.0) -> bytes:
        """Return all bytes until the endpoint closes the connection; fail if it stays open."""
        parts = []
        async with asyncio.timeout(within):
            try:
                while part := await self._reader.read(65_536):
                    parts.append(part)
            except ConnectionError:
                pass
        return b"".join(parts)

    async def status(self, within: float = 5.0) -> int:
        """Return the status of the answer after the connection was closed; 0 without an answer."""
        answer = await self.answer(within)
        return int(answer.split(b" ", 2)[1]) if answer else 0
