"""The box that shows an error: what is wrong, and what to do."""

from redrive.dashboard.widgets.elements import Tag, button, icon, link
from redrive.errors import RedriveError, Unauthenticated
from redrive.texts.errors import error_text


class ErrorBox:
    """Hidden while there is no error; screen readers read an error at once."""

    def __init__(self) -> None:
        self._of: object = None
        with Tag("div", "", "error-box", role="alert") as box:
            icon("error")
            with Tag("div"):
                self._problem = Tag("p", "", "wrong")
                self._remedy = Tag("p", "")
                self._login = link("Log in", "/login")
            button("Dismiss", self.clear, classes="quiet")
        self._box = box
        self.clear()

    def show(self, error: RedriveError, *, of: object = None) -> None:
        """Show an error; `of` identifies the read that failed, for `clear_of`."""
        problem, remedy = error_text(error)
        self.show_text(problem, remedy)
        self._login.show(when=isinstance(error, Unauthenticated))
        self._of = of

    def show_text(self, problem: str, remedy: str = "") -> None:
        """Show an error by its texts."""
        self._problem.update_text(problem)
        self._remedy.update_text(remedy)
        self._login.show(when=False)
        self._of = None
        self._box.show(when=True)

    def clear_of(self, of: object) -> None:
        """Clear the error of this read, because the read succeeded."""
        if self._of == of:
            self.clear()

    def clear(self) -> None:
        self._of = None
        self._box.show(when=False)
