"""Makes pages: each is an async function that draws into a frame."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from nicegui import ui

from redrive.dashboard.frame import Frame
from redrive.dashboard.sessions import Sessions
from redrive.errors import RedriveError, Unauthenticated

Build = Callable[..., Awaitable[None]]
_BUILD_SECONDS = 15.0  # more than a client needs to find out that no server answers


class Site:
    """Where pages are registered; `sessions` knows who looks."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    def page(self, path: str, title: str) -> Callable[[Build], Build]:
        """Registers a page: the function gets the frame, and what the path names."""

        def register(build: Build) -> Build:
            async def show(request: Request) -> Response | None:
                return await self._show(build, title, request)

            ui.page(path, title=f"{title} · Redrive", response_timeout=_BUILD_SECONDS)(show)
            return build

        return register

    async def _show(self, build: Build, title: str, request: Request) -> Response | None:
        backend = self.sessions.backend(request.cookies)
        frame = Frame(backend, request, title, is_logged_in=self.sessions.is_logged_in(request.cookies))
        try:
            if backend.presence.is_here:
                await _check(frame)
            with frame.room:
                await build(frame, **request.path_params)
        except Unauthenticated:
            return RedirectResponse(f"/login?next={quote(request.url.path)}", status_code=303)
        except RedriveError as error:
            backend.presence.failed(error)
            frame.errors.show(error)
        return None


async def _check(frame: Frame) -> None:
    """Refused callers are sent to the login; whatever else is wrong, the page itself finds out and tells."""
    try:
        await frame.backend.check()
    except Unauthenticated:
        raise
    except RedriveError:
        return
