"""Widgets that show a state: chips, the bar of counts, the note of a pause."""

from collections.abc import Awaitable, Callable

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.dashboard.widgets.elements import Tag, icon, time_of
from redrive.dashboard.widgets.labels import Label
from redrive.texts.formats import format_number, iso_time
from redrive.v1.message_pb2 import Counts
from redrive.v1.page_pb2 import PagePause

PARTS = ("sent", "failed", "unconfirmed", "cancelled", "sending", "pending")


def finished_count(counts: Counts) -> int:
    """Return how many recipients have no open delivery."""
    return counts.total - counts.pending - counts.sending


def counts_text(counts: Counts) -> str:
    """Return 953 of 1,000 sent, 40 failed, 7 pending."""
    rest = [f"{format_number(getattr(counts, part))} {part}" for part in PARTS[1:] if getattr(counts, part)]
    return ", ".join([f"{format_number(counts.sent)} of {format_number(counts.total)} sent", *rest])


class CountsBar:
    """A bar of the counts; screen readers read them as its value."""

    def __init__(self, counts: Counts, label: str) -> None:
        self._box = Tag("div", "", "counts-bar", role="progressbar", aria_label=label, aria_valuemin=0)
        with self._box:
            self._parts = {part: Tag("span", "", f"part {part}") for part in PARTS}
        self.show(counts)

    def show(self, counts: Counts) -> None:
        text = counts_text(counts)
        self._box.set_attributes(
            aria_valuenow=finished_count(counts), aria_valuemax=counts.total, aria_valuetext=text, title=text
        )
        for part, box in self._parts.items():
            share = 100 * getattr(counts, part) / counts.total if counts.total else 0
            box.set_attributes(style=f"width:{share:.2f}%")


class Chip:
    """A state with its icon."""

    def __init__(self, label: Label) -> None:
        self._box = Tag("span")
        with self._box:
            self._icon = icon(label.icon)
            self._text = Tag("span", label.text)
        self.show(label)

    def show(self, label: Label) -> None:
        self._box.update_classes(f"chip {label.tone}")
        self._icon.update_text(label.icon)
        self._text.update_text(label.text)


class FilterChip:
    """A toggle button with a count."""

    def __init__(self, label: Label, switched: Callable[[bool], Awaitable[None] | None]) -> None:
        self.is_on = False
        self._switched = switched
        self._box = Tag("button", "", f"chip filter {label.tone}", type="button", aria_pressed="false")
        with self._box:
            icon(label.icon)
            Tag("span", label.text)
            self._count = Tag("span", "", "count")
        self._box.on("click", lambda _: self._switch(), args=[])

    def show(self, count: int) -> None:
        """Show the count; a filter without matches is hidden unless it is on."""
        self._count.update_text(f"{count:,}")
        self._box.show(when=count > 0 or self.is_on)

    def set(self, *, is_on: bool) -> None:
        """Switch the button without a callback."""
        self.is_on = is_on
        self._box.set_attributes(aria_pressed="true" if is_on else "false")

    def _switch(self) -> Awaitable[None] | None:
        self.set(is_on=not self.is_on)
        return self._switched(self.is_on)


class PauseNote:
    """The note of a page's pause; hidden while the page is not paused."""

    def __init__(self) -> None:
        with Tag("div", "", "note") as self._box:
            with Tag("p"):
                Tag("span", "Paused until ")
                self._until = time_of(Timestamp())
            self._reason = Tag("p")
        self._box.show(when=False)

    def show(self, pause: PagePause | None) -> None:
        """Show why the page is paused, and until when; hide the note for None."""
        self._box.show(when=pause is not None)
        if pause is None:
            return
        self._until.set_attributes(datetime=iso_time(pause.until_time))
        reason = pause.reason or "No reason was given."
        self._reason.update_text(f"{reason} Sending continues then; releasing the page ends the pause.")
