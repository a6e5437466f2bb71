"""How far a message is: the bar, the books, the pace, and a line that is read out now and then."""

from redrive.dashboard.counts_bar import PARTS, CountsBar, done, in_words
from redrive.dashboard.elements import Tag
from redrive.dashboard.formats import duration, number, rate, share
from redrive.dashboard.labels import status_label
from redrive.v1.message_pb2 import Counts
from redrive.v1.progress_pb2 import Progress

_FACTS = ("total", *PARTS)
_READ_OUT_STEPS = 10  # times from beginning to end: more often would be a nuisance


class ProgressCard:
    """Live: follows what it is shown."""

    def __init__(self, counts: Counts) -> None:
        with Tag("section", "", "card", aria_labelledby="progress-title"):
            with Tag("div", "", "row spread"):
                Tag("h2", "Progress", id="progress-title")
                self._pace = Tag("span", "", "muted pace")
            self._bar = CountsBar(counts, "Recipients with an outcome")
            self._books = Tag("p", "", "muted books")
            with Tag("dl", "", "facts"):
                self._facts = {name: _fact(name) for name in _FACTS}
                self._batches = _fact("batches")
            self._heard = Tag("div", "", "only-heard", role="status")
        self._heard_step: object = None
        self.show_counts(counts)

    def show(self, progress: Progress) -> None:
        """The latest."""
        self.show_counts(progress.counts)
        self._batches.say(f"{number(progress.batches_completed)} of {number(progress.batches_total)}")
        self._pace.say(pace(progress))
        step = (progress.status, done(progress.counts) * _READ_OUT_STEPS // max(1, progress.counts.total))
        if step != self._heard_step:
            self._heard_step = step
            self._heard.say(f"{status_label(progress.status).word}: {in_words(progress.counts)}")

    def show_counts(self, counts: Counts) -> None:
        """The books alone."""
        self._bar.show(counts)
        self._books.say(books(counts))
        for name, fact in self._facts.items():
            fact.say(number(getattr(counts, name)))


def pace(progress: Progress) -> str:
    """63 %, 95 a second, 4 s to go, round 1."""
    parts = [share(done(progress.counts), progress.counts.total)]
    if progress.messages_per_second:
        parts.append(rate(progress.messages_per_second))
    if progress.HasField("eta"):
        parts.append(f"{duration(progress.eta)} to go")
    if progress.round:
        parts.append(f"resend {progress.round}")
    return " · ".join(parts)


def books(counts: Counts) -> str:
    """1,000 = 940 sent + 60 failed: what is 0 is left out."""
    parts = [f"{number(getattr(counts, part))} {part}" for part in PARTS if getattr(counts, part)]
    balance = sum(getattr(counts, part) for part in PARTS)
    ending = "" if balance == counts.total else f" — the books are off by {number(abs(counts.total - balance))}"
    return f"{number(counts.total)} recipients = {' + '.join(parts) or '0'}{ending}"


def _fact(name: str) -> Tag:
    with Tag("div"):
        Tag("dt", name.capitalize())
        return Tag("dd", "")
