"""What every page has: the head with the ways to the other pages, the banner, errors, and room for the page itself."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import grpc
from fastapi import Request
from nicegui import ui

from redrive.client import Client
from redrive.dashboard.backend import Backend
from redrive.dashboard.banner import Banner
from redrive.dashboard.dialog import Dialog
from redrive.dashboard.elements import Tag, icon, link
from redrive.dashboard.error_box import ErrorBox
from redrive.dashboard.presence import is_away
from redrive.errors import RedriveError, Unauthenticated

Answer = TypeVar("Answer")
OnEnd = Callable[[Callable[[], None]], Callable[[], None]]  # calls its argument when the session ends

NAVIGATION = (  # address, word, icon
    ("/", "History", "history"),
    ("/compose", "Compose", "edit_note"),
    ("/reports", "Reports", "bar_chart"),
    ("/pages", "Pages", "badge"),
)
_FIRST_READ = 3.0  # seconds before a page is shown without what the server has not answered


class Frame:
    """One tab's page: `room` is where it draws."""

    def __init__(self, backend: Backend, request: Request, title: str, *, is_logged_in: bool, on_end: OnEnd) -> None:
        self.backend = backend
        self.request = request
        self._tab = ui.context.client
        self._is_gone = False
        self._is_logged_out = False
        self._is_late = False  # the server has kept this page waiting
        self._tab.on_delete(self._go)
        with self._tab.layout:
            _head(request.url.path, is_logged_in=is_logged_in).move(target_index=0)
        banner = Banner(backend.presence)
        self.errors = ErrorBox()
        self._said = Tag("div", "", "said", role="status")
        self.title = Tag("h1", title)
        self.room = Tag("div", "", "room")
        self.dialog = Dialog()
        self.on_leave(backend.presence.listen(banner.follow))
        self.on_leave(on_end(self._log_out))

    @property
    def client(self) -> Client:
        """Return the caller's client; raises Unauthenticated once the session has ended, in whichever tab."""
        if self._is_logged_out:
            raise Unauthenticated("The session has ended.", code=grpc.StatusCode.UNAUTHENTICATED)
        return self.backend.client

    def on_leave(self, work: Callable[[], None]) -> None:
        """Done when the tab is gone for good: at once where it went during a call."""
        if self._is_gone:
            work()
        else:
            self._tab.on_delete(work)

    def say(self, text: str) -> None:
        """A line about what was done; screen readers read it out."""
        self._said.say(text)

    async def check(self) -> None:
        """Finds out whether the server takes this caller's calls. Raises Unauthenticated; reads tell the rest."""
        await self._first(self.backend.check, lambda _: None, lambda _: None)

    async def attempt(self, call: Awaitable[Answer]) -> Answer | None:
        """A call on the user's behalf: its answer, or None after its error was told."""
        self.errors.clear()
        try:
            return await call
        except RedriveError as error:
            self.backend.presence.failed(error)
            self.errors.show(error)
        return None

    async def follow(
        self, key: tuple[Hashable, ...], read: Callable[[], Awaitable[Answer]], show: Callable[[Answer], None]
    ) -> Callable[[], None]:
        """Shows what a read answers, at once and then live; the answer ends it.

        Equal keys share their reads, and keys with the same first part (a kind of page) share one read a second.

        Raises Unauthenticated on the first read; other errors are told until it succeeds again.
        """

        def show_well(answer: Answer) -> None:
            self.errors.clear_of(key)
            show(answer)

        def fail(error: RedriveError) -> None:
            if not is_away(error):  # the banner tells of that
                self.errors.show(error, of=key)

        await self._first(read, show_well, fail)
        leave = self.backend.reads.follow(key, read, self._safely(show_well), self._safely(fail))
        self.on_leave(leave)
        return leave

    def watch(
        self, follow: Callable[[Callable[[Answer], None]], Callable[[], None]], show: Callable[[Answer], None]
    ) -> None:
        """Follows something of the backend's, such as a message's progress, as long as the tab is there."""
        self.on_leave(follow(self._safely(show)))

    async def _first(
        self,
        read: Callable[[], Awaitable[Answer]],
        show: Callable[[Answer], None],
        fail: Callable[[RedriveError], None],
    ) -> None:
        if self._is_late or not self.backend.presence.is_here:
            return  # the next turn reads it
        try:
            async with asyncio.timeout(_FIRST_READ):
                answer = await read()
        except Unauthenticated:
            raise
        except RedriveError as error:
            self.backend.presence.failed(error)
            fail(error)
        except TimeoutError:
            self._is_late = True
        else:
            if not self._is_gone:
                show(answer)

    def _log_out(self) -> None:
        """Lead the browser to the login, and take away all that the tab shows and can do: no event finds an element."""
        self._is_gone = self._is_logged_out = True
        self._tab.open("/login")
        self._tab.remove_all_elements()

    def _go(self) -> None:
        self._is_gone = True

    def _safely(self, show: Callable[[Answer], None]) -> Callable[[Answer], None]:
        """A fault while drawing is this tab's own, and does not stop what others follow."""

        def show_safely(answer: Answer) -> None:
            self._is_late = False
            if not self._is_gone:
                self._tab.safe_invoke(lambda: show(answer))

        return show_safely


def _head(path: str, *, is_logged_in: bool) -> Tag:
    with Tag("header", "", "head") as head:
        link("Skip to the content", "#content", "skip")
        with link("", "/", "brand", aria_label="Redrive, history"):
            icon("forward_to_inbox")
            Tag("span", "Redrive")
        with Tag("nav", "", "ways", aria_label="Pages"):
            for address, word, picture in NAVIGATION:
                with link("", address, aria_current="page" if address == path else None):
                    icon(picture)
                    Tag("span", word)
        with Tag("button", "", "button quiet theme", type="button").on("click", js_handler="() => redriveTheme.turn()"):
            icon("contrast")
            Tag("span", "Theme", "theme-word")
        if is_logged_in:
            with Tag("form", "", "", method="post", action="/logout"):
                Tag("button", "Log out", "button quiet", type="submit")
    return head
