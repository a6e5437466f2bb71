"""Puts the application together."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from nicegui import app as nicegui
from nicegui import ui
from starlette.staticfiles import StaticFiles

from redrive.dashboard.compose import add_compose
from redrive.dashboard.compositions import Compositions
from redrive.dashboard.export import add_export
from redrive.dashboard.failed import add_failed
from redrive.dashboard.guard import Guard
from redrive.dashboard.history import add_history
from redrive.dashboard.login import HEAD, add_login
from redrive.dashboard.message import add_message
from redrive.dashboard.pages import add_pages
from redrive.dashboard.reports import add_reports
from redrive.dashboard.sessions import Sessions
from redrive.dashboard.settings import DashboardSettings
from redrive.dashboard.site import Site

_STATIC = Path(__file__).with_name("static")
_TEND_SECONDS = 60.0


def build_application(settings: DashboardSettings) -> Guard:
    """The application for an ASGI server. NiceGUI keeps its pages by process: one application a process."""
    sessions, compositions = Sessions(settings), Compositions()
    app = FastAPI(openapi_url=None, lifespan=_life(sessions, compositions))
    add_login(app, sessions)
    add_export(app, sessions)
    app.mount("/static", StaticFiles(directory=_STATIC))
    site = Site(sessions)
    add_history(site)
    add_message(site)
    add_failed(site)
    add_compose(site, app, compositions)
    add_reports(site, app)
    add_pages(site)
    ui.add_head_html(HEAD, shared=True)
    nicegui.config.quasar_config["loadingBar"]["skipHijack"] = True  # no bar over the page for every request
    ui.run_with(
        app, title="Redrive", favicon=_STATIC / "icon.svg", language="en-US", tailwind=False, show_welcome_message=False
    )
    return Guard(app, settings)


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
    """What nobody comes back to does not wait for somebody else to come."""
    while True:
        await asyncio.sleep(_TEND_SECONDS)
        await sessions.end_idle()
        compositions.drop_old()
