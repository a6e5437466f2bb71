"""Navigation through a list that the server returns page by page."""

from collections.abc import Awaitable, Callable

from redrive.dashboard.widgets.elements import Tag, button


class PageCursor:
    """The position in the list: the page tokens up to the present page."""

    def __init__(self) -> None:
        self._tokens = [""]
        self.next_token = ""

    @property
    def token(self) -> str:
        """The token of the present page."""
        return self._tokens[-1]

    @property
    def number(self) -> int:
        """The number of the present page, from 1."""
        return len(self._tokens)

    def next(self) -> None:
        """Move to the next page, if there is one."""
        if self.next_token:
            self._tokens.append(self.next_token)
            self.next_token = ""

    def previous(self) -> None:
        """Move to the previous page, if there is one."""
        if self.number > 1:
            self.next_token = self._tokens.pop()

    def reset(self) -> None:
        """Move to the first page."""
        self._tokens = [""]
        self.next_token = ""


class Pager:
    """The buttons Previous and Next, and the position."""

    def __init__(self, cursor: PageCursor, page_changed: Callable[[], Awaitable[None]]) -> None:
        self._cursor = cursor
        self._page_changed = page_changed
        with Tag("nav", "", "pager", aria_label="Pages of the list"):
            self._back = button("Previous", self._go_back, icon_name="chevron_left")
            self._position = Tag("span", "", "muted", role="status")
            self._on = button("Next", self._go_on, icon_name="chevron_right")

    def show(self, text: str) -> None:
        """Show the position as text; enable the buttons that apply."""
        self._position.update_text(text)
        self._back.set_attributes(disabled=self._cursor.number == 1)
        self._on.set_attributes(disabled=not self._cursor.next_token)

    async def _go_on(self) -> None:
        self._cursor.next()
        await self._page_changed()

    async def _go_back(self) -> None:
        self._cursor.previous()
        await self._page_changed()
