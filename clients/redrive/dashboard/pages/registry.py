"""Registration of pages: each page is an async function that draws into a frame."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import ui

from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.settings import CALL_SECONDS
from redrive.dashboard.state.sessions import Sessions
from redrive.errors import RedriveError, Unauthenticated

Build = Callable[..., Awaitable[None]]
_BUILD_SECONDS = CALL_SECONDS + 10.0  # longer than a call, so that the page can show that the server is silent


class PageRegistry:
    """Registers pages; `sessions` knows the callers."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    def page(self, path: str, title: str) -> Callable[[Build], Build]:
        """Register a page: the function gets the frame and the parameters of the path."""

        def register(build: Build) -> Build:
            async def show(request: Request) -> Response | None:
                return await self._show(build, title, request)

            ui.page(path, title=f"{title} · Redrive", response_timeout=_BUILD_SECONDS)(show)
            return build

        return register

    async def _show(self, build: Build, title: str, request: Request) -> Response | None:
        backend = self.sessions.backend(request.cookies)
        frame = Frame(
            backend,
            request,
            title,
            is_logged_in=self.sessions.is_logged_in(request.cookies),
            on_end=lambda leave: self.sessions.on_end(request.cookies, leave),
        )
        try:
            await frame.check()
            with frame.content:
                await build(frame, **request.path_params)
        except Unauthenticated:
            return RedirectResponse(f"/login?next={quote(_address(request), safe='/')}", status_code=303)
        except RedriveError as error:
            backend.server_status.record_error(error)
            frame.errors.show(error)
        return None


def _address(request: Request) -> str:
    """Return the requested path with its query."""
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
