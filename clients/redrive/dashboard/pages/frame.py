"""The frame of every page: navigation, banner, errors, and the page's content."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import grpc
from fastapi import Request
from nicegui import ui

from redrive.client import Client
from redrive.dashboard.state.backend import Backend
from redrive.dashboard.state.server_status import ServerStatus, is_unreachable
from redrive.dashboard.widgets.dialog import Dialog
from redrive.dashboard.widgets.elements import Tag, icon, link
from redrive.dashboard.widgets.error_box import ErrorBox
from redrive.errors import RedriveError, Unauthenticated

Response = TypeVar("Response")
OnEnd = Callable[[Callable[[], None]], Callable[[], None]]  # registers a callback for the session's end

NAVIGATION = (  # path, text, icon
    ("/", "History", "history"),
    ("/compose", "Compose", "edit_note"),
    ("/reports", "Reports", "bar_chart"),
    ("/pages", "Pages", "badge"),
)
_FIRST_READ = 3.0  # seconds after which a page is shown without the data still missing


class UnreachableBanner:
    """A banner that is visible while the server is unreachable."""

    def __init__(self, server_status: ServerStatus) -> None:
        self._server_status = server_status
        with Tag("div", "", "contents", role="status"), Tag("div", "", "banner") as box:
            icon("cloud_off")
            Tag("span", "The server does not answer. You see the last known state; the dashboard keeps trying.")
        self._box = box
        self.follow()

    def follow(self) -> None:
        """Show or hide the banner by the status of the server."""
        self._box.show(when=not self._server_status.is_reachable)


class Frame:
    """The frame in one browser tab; pages draw into `content`."""

    def __init__(self, backend: Backend, request: Request, title: str, *, is_logged_in: bool, on_end: OnEnd) -> None:
        self.backend = backend
        self.request = request
        self._tab = ui.context.client
        self._is_closed = False
        self._is_logged_out = False
        self._is_slow = False  # the server did not answer in time for the first read
        self._tab.on_delete(self._mark_closed)
        with self._tab.layout:
            _head(request.url.path, is_logged_in=is_logged_in).move(target_index=0)
        banner = UnreachableBanner(backend.server_status)
        self.errors = ErrorBox()
        self._announcement = Tag("div", "", "said", role="status")
        self.title = Tag("h1", title)
        self.content = Tag("div", "", "room")
        self.dialog = Dialog()
        self.on_leave(backend.server_status.subscribe(banner.follow))
        self.on_leave(on_end(self._log_out))

    @property
    def client(self) -> Client:
        """Return the caller's client. Raises Unauthenticated after the session has ended in any tab."""
        if self._is_logged_out:
            raise Unauthenticated("The session has ended.", code=grpc.StatusCode.UNAUTHENTICATED)
        return self.backend.client

    def on_leave(self, action: Callable[[], None]) -> None:
        """Run the action when the tab closes; at once if it has closed already."""
        if self._is_closed:
            action()
        else:
            self._tab.on_delete(action)

    def announce(self, text: str) -> None:
        """Show a line about the result of an action; screen readers read it out."""
        self._announcement.update_text(text)

    async def check(self) -> None:
        """Check that the server accepts this caller. Raises Unauthenticated; the page's reads show other errors."""
        await self._read_first(self.backend.check, lambda _: None, lambda _: None)

    async def try_call(self, call: Awaitable[Response]) -> Response | None:
        """Await a call; return its response, or show its error and return None."""
        self.errors.clear()
        try:
            return await call
        except RedriveError as error:
            self.backend.server_status.record_error(error)
            self.errors.show(error)
        return None

    async def follow(
        self, key: tuple[Hashable, ...], read: Callable[[], Awaitable[Response]], show: Callable[[Response], None]
    ) -> Callable[[], None]:
        """Show what `read` returns, now and each time it is read again; the function returned ends this.

        Equal keys share their reads. Keys with the same first part (a kind of page) share one read per second.

        Raises Unauthenticated on the first read; other errors are shown until a read succeeds.
        """

        def show_response(response: Response) -> None:
            self.errors.clear_of(key)
            show(response)

        def fail(error: RedriveError) -> None:
            if not is_unreachable(error):  # the banner shows it
                self.errors.show(error, of=key)

        await self._read_first(read, show_response, fail)
        leave = self.backend.reads.follow(key, read, self._while_open(show_response), self._while_open(fail))
        self.on_leave(leave)
        return leave

    def watch(
        self, follow: Callable[[Callable[[Response], None]], Callable[[], None]], show: Callable[[Response], None]
    ) -> None:
        """Follow a source of the backend, such as the progress of a message, until the tab closes."""
        self.on_leave(follow(self._while_open(show)))

    async def _read_first(
        self,
        read: Callable[[], Awaitable[Response]],
        show: Callable[[Response], None],
        fail: Callable[[RedriveError], None],
    ) -> None:
        if self._is_slow or not self.backend.server_status.is_reachable:
            return  # a later read shows it
        try:
            async with asyncio.timeout(_FIRST_READ):
                response = await read()
        except Unauthenticated:
            raise
        except RedriveError as error:
            self.backend.server_status.record_error(error)
            fail(error)
        except TimeoutError:
            self._is_slow = True
        else:
            if not self._is_closed:
                show(response)

    def _log_out(self) -> None:
        """Lead the browser to the login, and remove all elements of the tab, so that no event has an effect."""
        self._is_closed = self._is_logged_out = True
        self._tab.open("/login")
        self._tab.remove_all_elements()

    def _mark_closed(self) -> None:
        self._is_closed = True

    def _while_open(self, show: Callable[[Response], None]) -> Callable[[Response], None]:
        """Return a function that shows only while the tab is open; its errors do not affect other tabs."""

        def show_safely(response: Response) -> None:
            self._is_slow = False
            if not self._is_closed:
                self._tab.safe_invoke(lambda: show(response))

        return show_safely


def _head(path: str, *, is_logged_in: bool) -> Tag:
    with Tag("header", "", "head") as head:
        link("Skip to the content", "#content", "skip")
        with link("", "/", "brand", aria_label="Redrive, history"):
            icon("forward_to_inbox")
            Tag("span", "Redrive")
        with Tag("nav", "", "ways", aria_label="Pages"):
            for target, text, icon_name in NAVIGATION:
                with link("", target, aria_current="page" if target == path else None):
                    icon(icon_name)
                    Tag("span", text)
        with Tag("button", "", "button quiet theme", type="button").on("click", js_handler="() => redriveTheme.turn()"):
            icon("contrast")
            Tag("span", "Theme", "theme-word")
        if is_logged_in:
            with Tag("form", "", "", method="post", action="/logout"):
                Tag("button", "Log out", "button quiet", type="submit")
    return head
