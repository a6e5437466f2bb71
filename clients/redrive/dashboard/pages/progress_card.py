"""The progress of a message: bar, counts, rate, and a line for screen readers."""

from redrive.dashboard.widgets.elements import Tag
from redrive.dashboard.widgets.labels import status_label
from redrive.dashboard.widgets.status import PARTS, CountsBar, counts_text, finished_count
from redrive.texts.formats import format_duration, format_number, format_rate, format_share
from redrive.v1.message_pb2 import Counts
from redrive.v1.progress_pb2 import Progress

_FACTS = ("total", *PARTS)
_READ_OUT_STEPS = 10  # how often a screen reader reads the progress out


class ProgressCard:
    """Shows the progress that it is given."""

    def __init__(self, counts: Counts) -> None:
        with Tag("section", "", "card", aria_labelledby="progress-title"):
            with Tag("div", "", "row spread"):
                Tag("h2", "Progress", id="progress-title")
                self._rate_text = Tag("span", "", "muted pace")
            self._bar = CountsBar(counts, "Recipients with an outcome")
            self._balance = Tag("p", "", "muted books")
            with Tag("dl", "", "facts"):
                self._facts = {name: _fact(name) for name in _FACTS}
                self._batches = _fact("batches")
            self._heard = Tag("div", "", "only-heard", role="status")
        self._heard_step: object = None
        self.show_counts(counts)

    def show(self, progress: Progress) -> None:
        self.show_counts(progress.counts)
        self._batches.update_text(
            f"{format_number(progress.batches_completed)} of {format_number(progress.batches_total)}"
        )
        self._rate_text.update_text(progress_text(progress))
        step = (progress.status, finished_count(progress.counts) * _READ_OUT_STEPS // max(1, progress.counts.total))
        if step != self._heard_step:
            self._heard_step = step
            self._heard.update_text(f"{status_label(progress.status).text}: {counts_text(progress.counts)}")

    def show_counts(self, counts: Counts) -> None:
        """Show the counts without rate and time."""
        self._bar.show(counts)
        self._balance.update_text(balance_text(counts))
        for name, fact in self._facts.items():
            fact.update_text(format_number(getattr(counts, name)))


def progress_text(progress: Progress) -> str:
    """Return 63 % · 95 a second · 4 s left · round 1."""
    parts = [format_share(finished_count(progress.counts), progress.counts.total)]
    if progress.messages_per_second:
        parts.append(format_rate(progress.messages_per_second))
    if progress.HasField("eta"):
        parts.append(f"{format_duration(progress.eta)} left")
    if progress.round:
        parts.append(f"round {progress.round}")
    return " · ".join(parts)


def balance_text(counts: Counts) -> str:
    """Return 1,000 recipients = 940 sent + 60 failed; zeros are left out. Says so if the sum is wrong."""
    parts = [f"{format_number(getattr(counts, part))} {part}" for part in PARTS if getattr(counts, part)]
    balance = sum(getattr(counts, part) for part in PARTS)
    ending = "" if balance == counts.total else f" — the counts are off by {format_number(abs(counts.total - balance))}"
    return f"{format_number(counts.total)} recipients = {' + '.join(parts) or '0'}{ending}"


def _fact(name: str) -> Tag:
    with Tag("div"):
        Tag("dt", name.capitalize())
        return Tag("dd", "")
