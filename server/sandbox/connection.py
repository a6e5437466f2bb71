"""Gives an answer over its connection, or does to the connection what was ordered."""

import asyncio
import socket
import struct

from aiohttp import web

from server.sandbox.answer import Answer, Manner

CLOSING: web.AppKey[asyncio.Event] = web.AppKey("closing", asyncio.Event)
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN


async def give(request: web.Request, answer: Answer, delay_seconds: float) -> web.Response:
    """Waits as long as was ordered, then answers, resets or stays silent."""
    delay = delay_seconds + answer.delay_seconds
    if delay:
        await asyncio.sleep(delay)
    if answer.manner is Manner.SILENCE:
        await request.app[CLOSING].wait()  # a caller who hangs up cancels this
    if answer.manner in {Manner.SILENCE, Manner.RESET}:
        _reset(request)
        return web.Response()  # goes nowhere
    return web.Response(
        body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type, **answer.limits}
    )


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
