"""The preview of a resend: nothing is resent before its effect was shown and confirmed."""

import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from redrive.dashboard.pages.frame import Frame
from redrive.dashboard.state.resend_choice import ResendChoice
from redrive.dashboard.state.retry_choice import parse_number
from redrive.dashboard.widgets.elements import Tag, checkbox
from redrive.dashboard.widgets.inputs import text_input
from redrive.texts.formats import format_count, format_number
from redrive.texts.resends import skip_text
from redrive.v1.resend_pb2 import Canary, ResendCause, ResendRequest, ResendResponse, SkippedRecipients, SkipReason

_FAILS_AGAIN: Mapping[int, str] = {
    ResendCause.RESEND_CAUSE_OUTSIDE_WINDOW: "outside the platform's 24-hour window",
    ResendCause.RESEND_CAUSE_WILL_FAIL_AGAIN: "a permanent error",
    ResendCause.RESEND_CAUSE_TOKEN_NOT_REPLACED: "waiting for a new token",
}
_SKIPPED = (SkipReason.SKIP_REASON_PERMANENT_ERROR, SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED)


def batches(response: ResendResponse) -> str:
    """Return the number of batches as text."""
    return format_count(response.batches.total, "batch", "batches")


def preview_lines(response: ResendResponse) -> list[str]:
    """Return who is taken, and what is expected; empty if no recipient is taken."""
    if not response.recipients_to_retry:
        return []
    lines = [
        f"{format_count(response.recipients_to_retry, 'recipient')} get the message again, in {batches(response)}."
    ]
    causes = Counter({group.cause: group.count for group in response.predictions})
    waiting = causes[ResendCause.RESEND_CAUSE_PAGE_ON_HOLD]
    if waiting:
        lines.append(
            f"{format_number(waiting)} of them wait: the page is on hold until it is released or gets a new token."
        )
    return [*lines, *_warnings(response)]


def _warnings(response: ResendResponse) -> list[str]:
    """Return warnings about named recipients whose next attempt would fail the same way."""
    if sum(group.count for group in response.skipped if group.reason in _SKIPPED):
        return []
    failing = [
        (group.count, _FAILS_AGAIN[group.cause]) for group in response.predictions if group.cause in _FAILS_AGAIN
    ]
    return [f"{format_number(count)} of them will fail again: {why}." for count, why in failing]


@dataclass
class ResendLimits:
    """The optional inputs of a resend: reason, canary and rate. They stay when the dialog is drawn again."""

    reason: str = ""
    canary: str = ""
    rate: str = ""

    def problems(self) -> Iterator[str]:
        """Yield the inputs that cannot be parsed: an ignored limit would resend to all at once."""
        if self.canary.strip() and not self._recipients_first():
            yield "Canary: enter a whole number above 0, or leave it empty."
        if self.rate.strip() and not (parse_number(self.rate) or 0) > 0:
            yield "Maximum rate: enter a number above 0, or leave it empty."

    def apply_to(self, request: ResendRequest) -> None:
        """Set the inputs on the request; requires that there are no problems."""
        request.reason = self.reason.strip()
        request.messages_per_second = parse_number(self.rate) or 0.0
        if first := self._recipients_first():
            request.canary.CopyFrom(Canary(recipients=first))

    def draw(self) -> None:
        """Draw the inputs, collapsed while they are empty."""
        with Tag("details", "", "fields", open=bool(self.reason or self.canary or self.rate)):
            Tag("summary", "More options")
            text_input("Reason (shown with the message's rounds)", self._set_reason, value=self.reason, maxlength=500)
            first = "Canary: send to this many first, to the rest only if none fails"
            text_input(first, self._set_canary, value=self.canary, inputmode="numeric", maxlength=9)
            rate = "Maximum messages per second"
            text_input(rate, self._set_rate, value=self.rate, inputmode="decimal", maxlength=9)

    def _recipients_first(self) -> int:
        """Return the size of the canary; 0 for text that is no positive whole number."""
        typed = self.canary.strip()
        return int(typed) if typed.isascii() and typed.isdecimal() else 0

    def _set_reason(self, typed: str) -> None:
        self.reason = typed

    def _set_canary(self, typed: str) -> None:
        self.canary = typed

    def _set_rate(self, typed: str) -> None:
        self.rate = typed


class ResendPreview:
    """A dialog; `resent` is called after a resend was accepted."""

    def __init__(self, frame: Frame, message_id: str, resent: Callable[[], Awaitable[None]]) -> None:
        self._frame = frame
        self._message_id = message_id
        self._resent = resent
        self._limits = ResendLimits()

    async def open(self, choice: ResendChoice, *, sequence: int) -> None:
        """Ask the server for a dry run, and show its result."""
        self._limits = ResendLimits()
        await self._ask(choice, sequence=sequence, include_unconfirmed=False)

    async def _ask(self, choice: ResendChoice, *, sequence: int, include_unconfirmed: bool) -> None:
        request = choice.request(self._message_id, sequence=sequence, include_unconfirmed=include_unconfirmed)
        response = await self._frame.try_call(self._frame.client.resend(request))
        if response is None:
            self._frame.dialog.close()
            return
        count = response.recipients_to_retry
        title = f"Resend to {format_count(count, 'recipient')}?" if count else "No recipients to resend to"
        with self._frame.dialog.opened(title):
            for line in preview_lines(response):
                Tag("p", line)
            _draw_skipped(response.skipped)
            self._draw_unconfirmed(choice, request, response)
            self._draw_end(request, response)

    def _draw_unconfirmed(self, choice: ResendChoice, request: ResendRequest, response: ResendResponse) -> None:
        has_unconfirmed = any(group.reason == SkipReason.SKIP_REASON_UNCONFIRMED for group in response.skipped)
        if not has_unconfirmed and not request.include_unconfirmed:
            return
        checkbox(
            "Include unconfirmed recipients: they may get the message twice",
            lambda is_on: self._ask(choice, sequence=request.as_of_sequence, include_unconfirmed=is_on),
            is_on=request.include_unconfirmed,
        )

    def _draw_end(self, request: ResendRequest, response: ResendResponse) -> None:
        if not response.recipients_to_retry:
            self._frame.dialog.add_back_button()
            return
        confirmed = ResendRequest()
        confirmed.CopyFrom(request)
        confirmed.validate_only = False
        confirmed.request_id = str(uuid.uuid4())  # one id per confirmation: a double click resends once
        self._limits.draw()
        self._frame.dialog.add_buttons(
            f"Resend to {format_number(response.recipients_to_retry)}", lambda: self._send(confirmed)
        )

    async def _send(self, request: ResendRequest) -> None:
        if problems := list(self._limits.problems()):
            self._frame.errors.show_text("Nothing was resent.", "\n".join(problems))
            return
        self._limits.apply_to(request)
        response = await self._frame.try_call(self._frame.client.resend(request))
        if response is None:
            return
        rest = (
            f"; {format_number(response.recipients_after_canary)} follow if the canary passes"
            if response.recipients_after_canary
            else ""
        )
        recipients = format_count(response.recipients_to_retry, "recipient")
        self._frame.announce(f"Resending to {recipients}, in {batches(response)}{rest}.")
        await self._resent()


def _draw_skipped(skipped: Iterable[SkippedRecipients]) -> None:
    groups = [group for group in skipped if group.count]
    if not groups:
        return
    Tag("h3", "Skipped")
    with Tag("ul", "", "skipped"):
        for group in sorted(groups, key=lambda group: -group.count):
            text = skip_text(group.reason)
            with Tag("li"):
                Tag("strong", f"{format_number(group.count)} {text.label}")
                Tag("span", text.dashboard_advice, "muted")
