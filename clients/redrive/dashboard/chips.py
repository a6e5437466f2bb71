"""Small coloured words: a state, or a filter that can be switched on."""

from collections.abc import Awaitable, Callable

from redrive.dashboard.elements import Tag, icon
from redrive.dashboard.labels import Label


class Chip:
    """A state with its icon."""

    def __init__(self, label: Label) -> None:
        self._box = Tag("span")
        with self._box:
            self._icon = icon(label.icon)
            self._word = Tag("span", label.word)
        self.show(label)

    def show(self, label: Label) -> None:
        """Another state."""
        self._box.look(f"chip {label.tone}")
        self._icon.say(label.icon)
        self._word.say(label.word)


class FilterChip:
    """A button that is on or off, with a count."""

    def __init__(self, label: Label, switched: Callable[[bool], Awaitable[None] | None]) -> None:
        self.is_on = False
        self._switched = switched
        self._box = Tag("button", "", f"chip filter {label.tone}", type="button", aria_pressed="false")
        with self._box:
            icon(label.icon)
            Tag("span", label.word)
            self._count = Tag("span", "", "count")
        self._box.on("click", lambda _: self._switch(), args=[])

    def show(self, count: int) -> None:
        """How many; a filter that would find nobody is hidden, unless it is on."""
        self._count.say(f"{count:,}")
        self._box.show(when=count > 0 or self.is_on)

    def set(self, *, is_on: bool) -> None:
        """Switches it without telling."""
        self.is_on = is_on
        self._box.attributes(aria_pressed="true" if is_on else "false")

    def _switch(self) -> Awaitable[None] | None:
        self.set(is_on=not self.is_on)
        return self._switched(self.is_on)
