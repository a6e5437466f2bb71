"""Where a message's recipients stand, as a bar of coloured parts."""

from redrive.dashboard.elements import Tag
from redrive.dashboard.formats import number
from redrive.v1.message_pb2 import Counts

PARTS = ("sent", "failed", "unconfirmed", "cancelled", "sending", "pending")


def done(counts: Counts) -> int:
    """Recipients with nothing open."""
    return counts.total - counts.pending - counts.sending


def in_words(counts: Counts) -> str:
    """953 of 1,000 sent, 40 failed, 7 pending."""
    rest = [f"{number(getattr(counts, part))} {part}" for part in PARTS[1:] if getattr(counts, part)]
    return ", ".join([f"{number(counts.sent)} of {number(counts.total)} sent", *rest])


class CountsBar:
    """A bar of the counts; a screen reader hears them as the bar's value."""

    def __init__(self, counts: Counts, label: str) -> None:
        self._box = Tag("div", "", "counts-bar", role="progressbar", aria_label=label, aria_valuemin=0)
        with self._box:
            self._parts = {part: Tag("span", "", f"part {part}") for part in PARTS}
        self.show(counts)

    def show(self, counts: Counts) -> None:
        """Other counts."""
        words = in_words(counts)
        self._box.attributes(aria_valuenow=done(counts), aria_valuemax=counts.total, aria_valuetext=words, title=words)
        for part, box in self._parts.items():
            share = 100 * getattr(counts, part) / counts.total if counts.total else 0
            box.attributes(style=f"width:{share:.2f}%")
