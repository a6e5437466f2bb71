"""What a resend can be given besides whom it takes, as it is typed: why, how few first, how fast."""

from collections.abc import Iterator
from dataclasses import dataclass

from redrive.dashboard.elements import Tag
from redrive.dashboard.entries import entry
from redrive.dashboard.retry_choice import number_of
from redrive.v1.resend_pb2 import Canary, ResendRequest


@dataclass
class ResendLimits:
    """Kept while the dialog is drawn anew for another choice: a limit that was typed is not lost."""

    reason: str = ""
    canary: str = ""
    pace: str = ""

    def gaps(self) -> Iterator[str]:
        """What cannot be read, in words: a limit that is none would let everything go at once."""
        if self.canary.strip() and not self._recipients_first():
            yield "How many first: give a whole number above 0, or leave it empty."
        if self.pace.strip() and not (number_of(self.pace) or 0) > 0:
            yield "How many a second: give a number above 0, or leave it empty."

    def apply_to(self, request: ResendRequest) -> None:
        """Writes them into the request; only where there are no gaps."""
        request.reason = self.reason.strip()
        request.messages_per_second = number_of(self.pace) or 0.0
        if first := self._recipients_first():
            request.canary.CopyFrom(Canary(recipients=first))

    def draw(self) -> None:
        """What is seldom needed: folded away until something stands in it."""
        with Tag("details", "", "fields", open=bool(self.reason or self.canary or self.pace)):
            Tag("summary", "More choices")
            entry("Why (shown in the message's rounds)", self._set_reason, value=self.reason, maxlength=500)
            first = "Try so many first, the rest only if none of them fails"
            entry(first, self._set_canary, value=self.canary, inputmode="numeric", maxlength=9)
            pace = "No faster than so many a second"
            entry(pace, self._set_pace, value=self.pace, inputmode="decimal", maxlength=9)

    def _recipients_first(self) -> int:
        """0 for what is no number of recipients."""
        typed = self.canary.strip()
        return int(typed) if typed.isascii() and typed.isdecimal() else 0

    def _set_reason(self, typed: str) -> None:
        self.reason = typed

    def _set_canary(self, typed: str) -> None:
        self.canary = typed

    def _set_pace(self, typed: str) -> None:
        self.pace = typed
