"""The sandbox as a web application."""

import asyncio

import msgspec
from aiohttp import web

from server.sandbox.connection import CLOSING
from server.sandbox.control_api import ControlApi
from server.sandbox.fault_order import FaultOrder, read_orders
from server.sandbox.graph_api import GraphApi
from server.sandbox.reception import Reception
from server.sandbox.refused_order import RefusedOrder
from server.sandbox.settings import SandboxSettings

_MAX_BODY = 32 * 2**20  # bytes; 50 long texts, encoded twice, stay well below


def create_app(settings: SandboxSettings) -> web.Application:
    """A sandbox without a port; raises ValueError for a fault in the settings that is wrong."""
    reception = Reception(msgspec.structs.replace(settings, faults=_checked(settings.faults)))
    app = web.Application(client_max_size=_MAX_BODY)
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


async def _close(app: web.Application) -> None:
    app[CLOSING].set()
