"""`/metrics` on a port of its own, within the service's event loop."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from server.observability.database_metrics import Sight

PATH = "/metrics"


class MetricsPage:
    """Answers scrapes."""

    def __init__(self, registry: CollectorRegistry, sight: Sight) -> None:
        self._registry = registry
        self._sight = sight

    async def show(self, request: web.Request) -> web.Response:
        """Everything as it is now, in the form that the scraper asks for."""
        await self._sight.refresh()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


@asynccontextmanager
async def listening(page: MetricsPage, listen: str) -> AsyncIterator[str]:
    """Listens on HOST:PORT (0 = any port), and gives the address; raises OSError when it cannot."""
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
