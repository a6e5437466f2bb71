"""A question before something is done: nothing behind it can be reached until it is closed; Escape closes it."""

from collections.abc import Iterator
from contextlib import contextmanager

from redrive.dashboard.elements import Tag, Work, button

_FORGET = "(event) => event.target.querySelectorAll('form').forEach((form) => form.reset())"


class Dialog:
    """Filled anew each time that it opens."""

    def __init__(self) -> None:
        self._box = Tag("dialog", "", "dialog")
        self._box.on("close", js_handler=_FORGET)  # by Escape too

    @contextmanager
    def opened(self, title: str) -> Iterator[None]:
        """Opens with what is drawn inside the block."""
        self._box.clear()
        self._box.attributes(aria_label=title)
        with self._box:
            Tag("h2", title)
            yield
        self._box.run_method("showModal")

    def close(self) -> None:
        """Closes it, and takes out what stood there."""
        self._box.run_method("close")

    def ask(self, title: str, text: str, yes: str, work: Work, *, classes: str = "primary") -> None:
        """Asks before it works; a second press of the same button does nothing."""
        with self.opened(title):
            Tag("p", text)
            self.buttons(yes, work, classes=classes)

    def back(self) -> None:
        """The way back alone."""
        with Tag("div", "", "buttons"):
            button("Back", self.close, classes="primary")

    def buttons(self, yes: str, work: Work, *, classes: str = "primary") -> Tag:
        """The way back, and the way on, which can be gone once."""
        pressed = False

        async def once() -> None:
            nonlocal pressed
            if pressed:
                return
            pressed = True
            self.close()
            waiting = work()
            if waiting is not None:
                await waiting

        with Tag("div", "", "buttons"):
            button("Back", self.close, classes="quiet")
            return button(yes, once, classes=classes)
