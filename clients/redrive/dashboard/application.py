"""The ASGI application of the dashboard, and its server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import app as nicegui
from nicegui import ui
from starlette.staticfiles import StaticFiles

from redrive.dashboard.downloads import add_export
from redrive.dashboard.login import HEAD, add_login
from redrive.dashboard.pages.compose import add_compose
from redrive.dashboard.pages.facebook_pages import add_pages
from redrive.dashboard.pages.failed import add_failed
from redrive.dashboard.pages.history import add_history
from redrive.dashboard.pages.message import add_message
from redrive.dashboard.pages.registry import PageRegistry
from redrive.dashboard.pages.reports import add_reports
from redrive.dashboard.request_guard import RequestGuard
from redrive.dashboard.settings import DashboardSettings
from redrive.dashboard.state.compositions import Compositions
from redrive.dashboard.state.sessions import Sessions

_STATIC = Path(__file__).with_name("static")
_TEND_SECONDS = 60.0


def build_application(settings: DashboardSettings) -> RequestGuard:
    """Build the ASGI application. NiceGUI keeps its pages per process: build only one in a process."""
    sessions, compositions = Sessions(settings), Compositions()
    app = FastAPI(openapi_url=None, lifespan=_life(sessions, compositions))
    add_login(app, sessions)
    add_export(app, sessions)
    app.mount("/static", StaticFiles(directory=_STATIC))
    registry = PageRegistry(sessions)
    add_history(registry)
    add_message(registry)
    add_failed(registry)
    add_compose(registry, app, compositions)
    add_reports(registry, app)
    add_pages(registry)
    ui.add_head_html(HEAD, shared=True)
    nicegui.config.quasar_config["loadingBar"]["skipHijack"] = True  # no loading bar for every request
    ui.run_with(
        app, title="Redrive", favicon=_STATIC / "icon.svg", language="en-US", tailwind=False, show_welcome_message=False
    )
    return RequestGuard(app, settings)


def _life(sessions: Sessions, compositions: Compositions) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        tending = asyncio.create_task(_tend(sessions, compositions))
        yield
        tending.cancel()
        await sessions.close()
        compositions.close()

    return life


async def _tend(sessions: Sessions, compositions: Compositions) -> None:
    """End idle sessions and drop idle compositions every minute."""
    while True:
        await asyncio.sleep(_TEND_SECONDS)
        await sessions.end_idle()
        compositions.drop_idle()


async def serve(settings: DashboardSettings) -> None:
    """Serve the dashboard until SIGTERM or Ctrl+C."""
    application = build_application(settings)
    # No access log: URLs hold message ids, which are confidential.
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    await uvicorn.Server(config).serve()
