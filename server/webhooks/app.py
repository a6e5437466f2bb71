"""The webhook endpoint as a web application: GET verifies a subscription, POST brings events.

The platform repeats what is not answered with 200, waits up to 20 seconds for an answer, and unsubscribes an endpoint
that fails for long (its technical FAQ). So 200 says that all receipts are durable, and 503 that they shall come again.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from redrive import RedriveError
from server.webhooks.events import UnreadableError, read_body
from server.webhooks.feeder import Feeder
from server.webhooks.seal import SIGNATURE_HEADER, Seal, is_signature

logger = structlog.get_logger()

PATH = "/webhooks"
MAX_BODY = 16 * 2**20  # bytes: 1,000 updates, the most in one body, whose texts of 2,000 characters are all escaped
BODY_SECONDS = 10.0  # for a body to come in


def create_app(seal: Seal, feeder: Feeder) -> web.Application:
    """An endpoint without a port."""
    app = web.Application(client_max_size=MAX_BODY)
    endpoint = _Endpoint(seal, feeder)
    app.cleanup_ctx.append(endpoint.feeding)
    app.add_routes([web.get(PATH, endpoint.verify), web.post(PATH, endpoint.receive)])
    return app


class _Endpoint:
    def __init__(self, seal: Seal, feeder: Feeder) -> None:
        self._seal = seal
        self._feeder = feeder

    async def feeding(self, _app: web.Application) -> AsyncIterator[None]:
        """Feeds for as long as the application runs."""
        task = asyncio.create_task(self._feeder.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def verify(self, request: web.Request) -> web.Response:
        """Answers the platform's question whether this endpoint is the subscriber's."""
        query = request.query
        if not self._seal.is_subscription(query.get("hub.mode", ""), query.get("hub.verify_token", "")):
            return _refuse("verify_token", 403)
        return web.Response(text=query.get("hub.challenge", ""))  # as plain text

    async def receive(self, request: web.Request) -> web.Response:
        """Takes events in; the body of whoever does not sign is not read."""
        signature = request.headers.get(SIGNATURE_HEADER, "")
        if not is_signature(signature):
            return _refuse("no_signature", 403)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return _refuse("slow_body", 408)
        if not self._seal.is_genuine(body, signature):
            return _refuse("signature", 403)
        return await self._take(body)

    async def _take(self, body: bytes) -> web.Response:
        try:
            reading = read_body(body, received=time.time_ns() // 1_000_000)
        except UnreadableError:
            return _refuse("unreadable", 400)
        if reading.odd:
            logger.warning("webhook_parts_not_understood", parts=dict(reading.odd))
        try:
            if reading.receipts:
                await self._feeder.feed(reading.receipts)
        except RedriveError as error:
            logger.warning("receipts_not_recorded", code=error.code.name, reason=error.reason)
            return web.Response(status=503)
        return web.Response()


def _refuse(cause: str, status: int) -> web.Response:
    logger.warning("webhook_refused", cause=cause, status=status)
    return web.Response(status=status)
