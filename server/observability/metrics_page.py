"""The `/metrics` page, on its own port and in the event loop of the service."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from server.observability.database_metrics import DatabaseMetrics

PATH = "/metrics"


class MetricsPage:
    """Answers scrapes."""

    def __init__(self, registry: CollectorRegistry, database: DatabaseMetrics) -> None:
        self._registry = registry
        self._database = database

    async def show(self, request: web.Request) -> web.Response:
        """Return all metrics, in the format that the scraper accepts."""
        await self._database.refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


@asynccontextmanager
async def listening(page: MetricsPage, listen: str) -> AsyncIterator[str]:
    """Listen on HOST:PORT (0 = any free port), and yield the address; raises OSError if it cannot be used."""
    host, _, port = listen.rpartition(":")
    app = web.Application()
    app.router.add_get(PATH, page.show)
    runner = web.AppRunner(app, access_log=None, logger=logging.getLogger("redrive.metrics"), shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        yield f"{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
