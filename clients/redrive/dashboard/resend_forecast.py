"""What a preview's answer says, in sentences."""

from collections import Counter
from collections.abc import Mapping

from redrive.dashboard.formats import counted, number
from redrive.v1.resend_pb2 import ResendCause, ResendResponse, SkipReason

_HOPELESS: Mapping[int, str] = {
    ResendCause.RESEND_CAUSE_OUTSIDE_WINDOW: "outside the platform's 24-hour window",
    ResendCause.RESEND_CAUSE_WILL_FAIL_AGAIN: "a permanent error",
    ResendCause.RESEND_CAUSE_TOKEN_NOT_REPLACED: "the page's token has not been replaced",
}
_LEFT_OUT = (SkipReason.SKIP_REASON_PERMANENT_ERROR, SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED)


def batches(answer: ResendResponse) -> str:
    """In how many batches it goes out."""
    return counted(answer.batches.total, "batch", "batches")


def taken(answer: ResendResponse) -> list[str]:
    """Who is taken, and what is to be expected of it; nothing when nobody is."""
    if not answer.recipients_to_retry:
        return []
    lines = [f"{counted(answer.recipients_to_retry, 'recipient')} get the message once more, in {batches(answer)}."]
    causes = Counter({group.cause: group.count for group in answer.predictions})
    waiting = causes[ResendCause.RESEND_CAUSE_PAGE_ON_HOLD]
    if waiting:
        lines.append(f"{number(waiting)} of them wait: their page is on hold until it is released or gets a new token.")
    return [*lines, *_warnings(answer)]


def _warnings(answer: ResendResponse) -> list[str]:
    """Whoever is named is taken, although another attempt would fail the same way."""
    if sum(group.count for group in answer.skipped if group.reason in _LEFT_OUT):
        return []
    hopeless = [(group.count, _HOPELESS[group.cause]) for group in answer.predictions if group.cause in _HOPELESS]
    return [f"{number(count)} of them will fail again: {why}." for count, why in hopeless]
