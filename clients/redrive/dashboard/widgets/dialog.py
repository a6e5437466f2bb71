"""A modal dialog; Escape closes it."""

from collections.abc import Iterator
from contextlib import contextmanager

from redrive.dashboard.widgets.elements import Action, Tag, button

_FORGET = "(event) => event.target.querySelectorAll('form').forEach((form) => form.reset())"


class Dialog:
    """The dialog of a page; its content is drawn each time that it opens."""

    def __init__(self) -> None:
        self._box = Tag("dialog", "", "dialog")
        self._box.on("close", js_handler=_FORGET)  # also when Escape closes it

    @contextmanager
    def opened(self, title: str) -> Iterator[None]:
        """Open with the content drawn inside the block."""
        self._box.clear()
        self._box.set_attributes(aria_label=title)
        with self._box:
            Tag("h2", title)
            yield
        self._box.run_method("showModal")

    def close(self) -> None:
        self._box.run_method("close")

    def confirm(self, title: str, text: str, yes: str, action: Action, *, classes: str = "primary") -> None:
        """Ask for confirmation before the action; a double click runs it once."""
        with self.opened(title):
            Tag("p", text)
            self.add_buttons(yes, action, classes=classes)

    def add_back_button(self) -> None:
        """Add only the button that closes the dialog."""
        with Tag("div", "", "buttons"):
            button("Back", self.close, classes="primary")

    def add_buttons(self, yes: str, action: Action, *, classes: str = "primary") -> Tag:
        """Add the button that closes the dialog, and the one that confirms, which works once."""
        pressed = False

        async def once() -> None:
            nonlocal pressed
            if pressed:
                return
            pressed = True
            self.close()
            waiting = action()
            if waiting is not None:
                await waiting

        with Tag("div", "", "buttons"):
            button("Back", self.close, classes="quiet")
            return button(yes, once, classes=classes)
