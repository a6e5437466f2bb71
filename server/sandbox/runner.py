"""Runs a sandbox on a port, as a program or within a test."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from server.sandbox.control import SandboxControl
from server.sandbox.control_api import ControlApi
from server.sandbox.fault_order import FaultOrder, RefusedOrder, read_orders
from server.sandbox.graph_api import CLOSING, GraphApi
from server.sandbox.settings import SandboxSettings
from server.sandbox.state import SandboxState
from server.sandbox.webhooks import WebhookOutbox

API_VERSION = "v25.0"


class Sandbox(msgspec.Struct, frozen=True):
    """A running sandbox."""

    url: str  # for REDRIVE_GRAPH_URL
    control: SandboxControl


@asynccontextmanager
async def running_sandbox(settings: SandboxSettings | None = None) -> AsyncIterator[Sandbox]:
    """Run a sandbox in this process on a port; raises OSError if the port is in use."""
    settings = settings or SandboxSettings()
    # Cancel the handler when the caller disconnects, so that a pending "timeout" fault does not last until the end.
    runner = web.AppRunner(
        create_app(settings), access_log=None, logger=_logger(), handler_cancellation=True, shutdown_timeout=1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        url = f"{_origin(runner, settings.host)}/{API_VERSION}"
        async with SandboxControl(url) as control:
            yield Sandbox(url, control)
    finally:
        await runner.cleanup()


async def serve(settings: SandboxSettings, *, ready: Callable[[str], None] | None = None) -> None:
    """Run until cancelled, SIGTERM or SIGINT; print the address as one line of JSON on standard output."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with running_sandbox(settings) as sandbox:
        _announce(sandbox.url)
        if ready is not None:
            ready(sandbox.url)
        await stop.wait()


def _logger() -> logging.Logger:
    """Return a logger for errors of the sandbox; a caller that sends no HTTP is not logged and gets a 400."""
    logger = logging.getLogger("redrive.sandbox")
    logger.addFilter(_is_not_http_error)
    return logger


def _is_not_http_error(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _origin(runner: web.AppRunner, host: str) -> URL:
    port = runner.addresses[0][1]
    return URL.build(scheme="http", host=host, port=port)


def _announce(url: str) -> None:
    control = str(URL(url).with_path("/sandbox"))
    line = msgspec.json.encode({"event": "sandbox_listening", "url": url, "control": control})
    sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()


_MAX_BODY = 32 * 2**20  # bytes; 50 long texts, encoded twice, are smaller


def create_app(settings: SandboxSettings) -> web.Application:
    """Return a sandbox without a port; raises ValueError for a wrong fault in the settings."""
    outbox = WebhookOutbox(settings.webhook, settings.seed) if settings.webhook else None
    state = SandboxState(msgspec.structs.replace(settings, faults=_checked(settings.faults)), outbox)
    app = web.Application(client_max_size=_MAX_BODY)
    if outbox is not None:
        app.cleanup_ctx.append(_delivering(outbox))
    app[CLOSING] = asyncio.Event()
    app.on_shutdown.append(_close)
    app.add_routes(ControlApi(state).routes())
    app.router.add_route("*", "/{path:.*}", GraphApi(state, settings.delay_seconds).handle)
    return app


def _checked(faults: tuple[FaultOrder, ...]) -> tuple[FaultOrder, ...]:
    match read_orders(msgspec.json.encode(faults)):
        case RefusedOrder(field=field, message=message):
            raise ValueError(f"faults{field}: {message}")
        case orders:
            return orders


def _delivering(outbox: WebhookOutbox) -> Callable[[web.Application], AsyncIterator[None]]:
    async def deliver(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(outbox.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return deliver


async def _close(app: web.Application) -> None:
    app[CLOSING].set()
