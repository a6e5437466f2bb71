"""Runs the webhook endpoint on a port, as a program or within a test."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import structlog
from aiohttp import web

from redrive import Client
from server.webhooks.app import PATH, create_app
from server.webhooks.connections import MAX_CONNECTIONS, Connections, GuardedConnection, new_handler
from server.webhooks.feeder import Feeder
from server.webhooks.refusals import RefusalLog
from server.webhooks.settings import WebhookSettings
from server.webhooks.signatures import WebhookSecrets

logger = structlog.get_logger()

# One call with all its attempts. A body may wait for two calls, and the platform waits 20 seconds for an answer.
CALL_SECONDS = 8.0


@asynccontextmanager
async def running_webhooks(settings: WebhookSettings) -> AsyncIterator[str]:
    """Run an endpoint and yield its address; raises OSError if the port is in use."""
    certificates = settings.root_certificates.read_bytes() if settings.root_certificates else None
    client = Client(
        settings.server,
        token=settings.token,
        tls=settings.tls,
        root_certificates=certificates,
        client_certificate=settings.client_certificate,
        timeout=CALL_SECONDS,
    )
    async with client:
        refusals = RefusalLog()
        secrets = WebhookSecrets(settings.verify_token, settings.app_secret)
        runner = web.AppRunner(create_app(secrets, Feeder(client.record_receipts), refusals), shutdown_timeout=10)
        await runner.setup()
        try:
            async with _listening(settings, runner, Connections(refusals)) as port:
                yield f"http://{settings.host}:{port}{PATH}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def _listening(settings: WebhookSettings, runner: web.AppRunner, connections: Connections) -> AsyncIterator[int]:
    """Listen with guarded connections, and yield the port."""
    server = cast("web.Server", runner.server)  # set by runner.setup()

    def connection() -> GuardedConnection:
        return GuardedConnection(connections, new_handler(server))

    listener = await asyncio.get_running_loop().create_server(
        connection, settings.host, settings.port, backlog=MAX_CONNECTIONS
    )
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


async def serve(settings: WebhookSettings) -> None:
    """Run until SIGTERM or SIGINT, then finish the open requests."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with running_webhooks(settings) as address:
        logger.info("webhooks_listening", address=address, server=settings.server)
        await stop.wait()
    logger.info("webhooks_stopped")
