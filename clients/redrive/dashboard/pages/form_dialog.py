"""A form in a dialog, which stays open with its input until the submission succeeds."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.widgets.elements import Tag, button
from redrive.dashboard.widgets.error_box import ErrorBox
from redrive.errors import RedriveError

Response = TypeVar("Response")
Submit = Callable[[], Awaitable[bool]]  # returns whether the form may close
OnDone = Callable[[], Awaitable[None]]
_SUBMIT = "(event) => { event.preventDefault(); emit(); }"


class FormDialog:
    """Shows errors inside the dialog, because elements behind it cannot be reached."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._is_busy = False

    @contextmanager
    def opened(self, title: str, yes: str, submit: Submit, then: OnDone | None = None) -> Iterator[None]:
        """Open with the fields drawn inside the block; Enter submits them. `then` runs after the dialog has closed."""
        self._is_busy = False
        with self._frame.dialog.opened(title):
            self.errors = ErrorBox()
            with Tag("form", "", "fields") as self._form:
                yield
                with Tag("div", "", "buttons"):
                    button("Back", self._close, classes="quiet")
                    self._yes = Tag("button", yes, "button primary", type="submit")
            self._form.on("submit", lambda _: self._submit(submit, then), js_handler=_SUBMIT)

    async def try_call(self, call: Awaitable[Response]) -> Response | None:
        """Await a call; return its response, or show its error and return None."""
        try:
            return await call
        except RedriveError as error:
            self._frame.backend.server_status.record_error(error)
            self.errors.show(error)
        return None

    async def _submit(self, submit: Submit, then: OnDone | None) -> None:
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
        self._yes.set_attributes(disabled=is_busy)

    def _close(self) -> None:
        """Close the dialog and clear its fields, which may hold a token."""
        self._frame.dialog.close()
        self._form.clear()
