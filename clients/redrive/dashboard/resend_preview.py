"""What a resend would do, before it is confirmed: nothing is sent from here without having been shown."""

import uuid
from collections.abc import Awaitable, Callable, Iterable

from redrive.dashboard.elements import Tag, checkbox
from redrive.dashboard.formats import counted, number
from redrive.dashboard.frame import Frame
from redrive.dashboard.labels import skip_words
from redrive.dashboard.resend_choice import ResendChoice
from redrive.dashboard.resend_forecast import batches, taken
from redrive.dashboard.resend_limits import ResendLimits
from redrive.v1.resend_pb2 import ResendRequest, ResendResponse, SkippedRecipients, SkipReason


class ResendPreview:
    """A dialog; `resent` is called after a resend was accepted."""

    def __init__(self, frame: Frame, message_id: str, resent: Callable[[], Awaitable[None]]) -> None:
        self._frame = frame
        self._message_id = message_id
        self._resent = resent
        self._limits = ResendLimits()

    async def open(self, choice: ResendChoice, *, sequence: int) -> None:
        """Asks the server what would be, and shows it."""
        self._limits = ResendLimits()
        await self._ask(choice, sequence=sequence, include_unconfirmed=False)

    async def _ask(self, choice: ResendChoice, *, sequence: int, include_unconfirmed: bool) -> None:
        request = choice.request(self._message_id, sequence=sequence, include_unconfirmed=include_unconfirmed)
        answer = await self._frame.attempt(self._frame.client.resend(request))
        if answer is None:
            self._frame.dialog.close()
            return
        takes = answer.recipients_to_retry
        title = f"Resend to {counted(takes, 'recipient')}?" if takes else "Nobody to resend to"
        with self._frame.dialog.opened(title):
            for line in taken(answer):
                Tag("p", line)
            _draw_skipped(answer.skipped)
            self._draw_unconfirmed(choice, request, answer)
            self._draw_end(request, answer)

    def _draw_unconfirmed(self, choice: ResendChoice, request: ResendRequest, answer: ResendResponse) -> None:
        left_out = any(group.reason == SkipReason.SKIP_REASON_UNCONFIRMED for group in answer.skipped)
        if not left_out and not request.include_unconfirmed:
            return
        checkbox(
            "Also those who may have got it already: they may get it twice",
            lambda is_on: self._ask(choice, sequence=request.as_of_sequence, include_unconfirmed=is_on),
            is_on=request.include_unconfirmed,
        )

    def _draw_end(self, request: ResendRequest, answer: ResendResponse) -> None:
        if not answer.recipients_to_retry:
            self._frame.dialog.back()
            return
        confirmed = ResendRequest()
        confirmed.CopyFrom(request)
        confirmed.validate_only = False
        confirmed.request_id = str(uuid.uuid4())  # of this confirmation: pressed twice, it sends once
        self._limits.draw()
        self._frame.dialog.buttons(f"Resend to {number(answer.recipients_to_retry)}", lambda: self._send(confirmed))

    async def _send(self, request: ResendRequest) -> None:
        if gaps := list(self._limits.gaps()):
            self._frame.errors.tell("Nothing was resent.", "\n".join(gaps))
            return
        self._limits.apply_to(request)
        answer = await self._frame.attempt(self._frame.client.resend(request))
        if answer is None:
            return
        rest = (
            f"; {number(answer.recipients_after_canary)} follow if that goes well"
            if answer.recipients_after_canary
            else ""
        )
        taken_now = counted(answer.recipients_to_retry, "recipient")
        self._frame.say(f"Resending to {taken_now}, in {batches(answer)}{rest}.")
        await self._resent()


def _draw_skipped(skipped: Iterable[SkippedRecipients]) -> None:
    groups = [group for group in skipped if group.count]
    if not groups:
        return
    Tag("h3", "Left out")
    with Tag("ul", "", "skipped"):
        for group in sorted(groups, key=lambda group: -group.count):
            why, way_on = skip_words(group.reason)
            with Tag("li"):
                Tag("strong", f"{number(group.count)} {why}")
                Tag("span", way_on, "muted")
