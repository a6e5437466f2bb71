"""The way through a list that the server answers page by page."""

from collections.abc import Awaitable, Callable

from redrive.dashboard.elements import Tag, button


class Turns:
    """Which page is looked at: the tokens that led there."""

    def __init__(self) -> None:
        self._tokens = [""]
        self.next_token = ""

    @property
    def token(self) -> str:
        """The present page's."""
        return self._tokens[-1]

    @property
    def number(self) -> int:
        """The present page, from 1."""
        return len(self._tokens)

    def on(self) -> None:
        """To the next page, if there is one."""
        if self.next_token:
            self._tokens.append(self.next_token)
            self.next_token = ""

    def back(self) -> None:
        """To the page before, if there is one."""
        if self.number > 1:
            self.next_token = self._tokens.pop()

    def to_start(self) -> None:
        """To the first: another filter has other pages."""
        self._tokens = [""]
        self.next_token = ""


class Pager:
    """Previous and next, and where one is."""

    def __init__(self, turns: Turns, turned: Callable[[], Awaitable[None]]) -> None:
        self._turns = turns
        self._turned = turned
        with Tag("nav", "", "pager", aria_label="Pages of the list"):
            self._back = button("Previous", self._go_back, icon_name="chevron_left")
            self._words = Tag("span", "", "muted", role="status")
            self._on = button("Next", self._go_on, icon_name="chevron_right")

    def show(self, words: str) -> None:
        """Where one is, in words; the buttons follow the turns."""
        self._words.say(words)
        self._back.attributes(disabled=self._turns.number == 1)
        self._on.attributes(disabled=not self._turns.next_token)

    async def _go_on(self) -> None:
        self._turns.on()
        await self._turned()

    async def _go_back(self) -> None:
        self._turns.back()
        await self._turned()
