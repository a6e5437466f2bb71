"""The sandbox as a web application."""

import asyncio
from collections.abc import AsyncIterator, Callable

import msgspec
from aiohttp import web

from server.sandbox.connection import CLOSING
from server.sandbox.control_api import ControlApi
from server.sandbox.fault_order import FaultOrder, read_orders
from server.sandbox.graph_api import GraphApi
from server.sandbox.reception import Reception
from server.sandbox.refused_order import RefusedOrder
from server.sandbox.settings import SandboxSettings
from server.sandbox.webhooks import WebhookOutbox

_MAX_BODY = 32 * 2**20  # bytes; 50 long texts, encoded twice, stay well below


def create_app(settings: SandboxSettings) -> web.Application:
    """A sandbox without a port; raises ValueError for a fault in the settings that is wrong."""
    outbox = WebhookOutbox(settings.webhook, settings.seed) if settings.webhook else None
    reception = Reception(msgspec.structs.replace(settings, faults=_checked(settings.faults)), outbox)
    app = web.Application(client_max_size=_MAX_BODY)
    if outbox is not None:
        app.cleanup_ctx.append(_telling(outbox))
    app[CLOSING] = asyncio.Event()
    app.on_shutdown.append(_close)
    app.add_routes(ControlApi(reception).routes())
    app.router.add_route("*", "/{path:.*}", GraphApi(reception, settings.delay_seconds).handle)
    return app


def _checked(faults: tuple[FaultOrder, ...]) -> tuple[FaultOrder, ...]:
    match read_orders(msgspec.json.encode(faults)):
        case RefusedOrder(field=field, message=message):
            raise ValueError(f"faults{field}: {message}")
        case orders:
            return orders


def _telling(outbox: WebhookOutbox) -> Callable[[web.Application], AsyncIterator[None]]:
    async def tell(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(outbox.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return tell


async def _close(app: web.Application) -> None:
    app[CLOSING].set()
