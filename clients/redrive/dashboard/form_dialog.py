"""A form in the dialog: it stays open, with what was entered, until its work is done."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from redrive.dashboard.elements import Tag, button
from redrive.dashboard.error_box import ErrorBox
from redrive.dashboard.frame import Frame
from redrive.errors import RedriveError

Answer = TypeVar("Answer")
Submit = Callable[[], Awaitable[bool]]  # whether the work is done
Then = Callable[[], Awaitable[None]]
_SUBMIT = "(event) => { event.preventDefault(); emit(); }"


class FormDialog:
    """Errors are told inside it: what stands behind a dialog cannot be reached."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._is_busy = False

    @contextmanager
    def opened(self, title: str, yes: str, submit: Submit, then: Then | None = None) -> Iterator[None]:
        """Opens with the fields that are drawn inside the block; Enter submits them. `then` is after it has closed."""
        self._is_busy = False
        with self._frame.dialog.opened(title):
            self.errors = ErrorBox()
            with Tag("form", "", "fields") as self._form:
                yield
                with Tag("div", "", "buttons"):
                    button("Back", self._close, classes="quiet")
                    self._yes = Tag("button", yes, "button primary", type="submit")
            self._form.on("submit", lambda _: self._submit(submit, then), js_handler=_SUBMIT)

    async def attempt(self, call: Awaitable[Answer]) -> Answer | None:
        """A call: its answer, or None after its error was told."""
        try:
            return await call
        except RedriveError as error:
            self._frame.backend.presence.failed(error)
            self.errors.show(error)
        return None

    async def _submit(self, submit: Submit, then: Then | None) -> None:
        if self._is_busy:
            return
        self.errors.clear()
        self._busy(is_busy=True)
        try:
            is_done = await submit()
        finally:
            self._busy(is_busy=False)
        if not is_done:
            return
        self._close()
        if then is not None:
            await then()

    def _busy(self, *, is_busy: bool) -> None:
        self._is_busy = is_busy
        self._yes.attributes(disabled=is_busy)

    def _close(self) -> None:
        """What was typed, a token perhaps, does not stay behind."""
        self._frame.dialog.close()
        self._form.clear()
