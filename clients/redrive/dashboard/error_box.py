"""Where an error is told: what is wrong, and what to do."""

from redrive.dashboard.elements import Tag, button, icon, link
from redrive.dashboard.words import in_words
from redrive.errors import RedriveError, Unauthenticated


class ErrorBox:
    """Hidden until there is something to tell; screen readers are told at once."""

    def __init__(self) -> None:
        self._of: object = None
        with Tag("div", "", "error-box", role="alert") as box:
            icon("error")
            with Tag("div"):
                self._wrong = Tag("p", "", "wrong")
                self._do = Tag("p", "")
                self._login = link("Log in", "/login")
            button("Dismiss", self.clear, classes="quiet")
        self._box = box
        self.clear()

    def show(self, error: RedriveError, *, of: object = None) -> None:
        """Tells an error; `of` is what met it, where that may succeed later by itself."""
        wrong, do = in_words(error)
        self.tell(wrong, do)
        self._login.show(when=isinstance(error, Unauthenticated))
        self._of = of

    def tell(self, wrong: str, do: str = "") -> None:
        """Tells what is wrong, in the caller's words."""
        self._wrong.say(wrong)
        self._do.say(do)
        self._login.show(when=False)
        self._of = None
        self._box.show(when=True)

    def clear_of(self, of: object) -> None:
        """Takes away what this met, since it has succeeded."""
        if self._of == of:
            self.clear()

    def clear(self) -> None:
        """Takes it away."""
        self._of = None
        self._box.show(when=False)
