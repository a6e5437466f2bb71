"""Errors in words: what is wrong, and what to do about it."""

from collections.abc import Mapping
from typing import NamedTuple

from redrive.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RedriveError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)


class Words(NamedTuple):
    """A line that says what is wrong, and one that says what to do."""

    wrong: str
    do: str


_NO_PAGE = "Register it first, with its token; if another caller has done so, its owner can share it with you."
_BY_REASON: Mapping[str, Words] = {
    "MESSAGE_NOT_FOUND": Words(
        "There is no such message.", "It may belong to somebody else: the history lists those that you may see."
    ),
    "PAGE_NOT_FOUND": Words("There is no such page.", _NO_PAGE),
    "PAGE_NOT_REGISTERED": Words("The page is not registered.", _NO_PAGE),
    "PAGE_NOT_YOURS": Words("Another caller has registered this page.", "Its owner or an admin can share it with you."),
    "PAGE_NOT_YOURS_TO_SHARE": Words("The page is not yours to share.", "Its owner or an admin decides who uses it."),
    "MESSAGE_CANCELLED": Words("The message was cancelled.", "A cancel is final: send a new message instead."),
    "MESSAGE_DONE": Words("The message is done.", "There is nothing left to stop. Failures can still be resent."),
    "TOKEN_REFUSED": Words(
        "The platform refuses this token.", "Make a new page token on the platform, and give that one."
    ),
    "REQUEST_ID_REUSED": Words("This was confirmed before, with other choices.", "Open the preview anew."),
    "CONCURRENT_CHANGE": Words("Something else changed it at the same moment.", "Look at it as it is now; try again."),
    "MESSAGE_ARCHIVED": Words(
        "The message was moved to the archive.", "Its counts stay; who failed can be read in the archive's file."
    ),
    "CANARY_UNDER_WAY": Words(
        "A resend of this message is trying a few recipients first.", "Wait until it has decided about the rest."
    ),
    "TOO_MANY_REQUESTS": Words("You ask for more than the server allows at once.", "Try again in a moment."),
    "TOO_MANY_WATCHES": Words("You watch more messages than the server allows.", "Close a tab that you do not need."),
    "TOO_MANY_READS": Words("Too many of your reads wait for the database.", "Try again in a moment."),
    "TOO_MANY_BYTES": Words("The server works on other large requests now.", "Try again in a moment."),
    "TOO_MANY_SEND_STREAMS": Words("You send more lists at a time than the server allows.", "Wait until one is sent."),
    "TOO_MANY_REFUSALS": Words("Many calls with a bad token came from here.", "Give a good token, and try again."),
    "REQUEST_TOO_LARGE": Words("This is more than the server takes at once.", "Send it in several parts."),
    "CALL_TOO_LONG": Words("The server took too long.", "It may have been done: look before you try again."),
    "SERVER_STOPS": Words("The server is being restarted.", "Try again in a few seconds."),
    "LOG_UNAVAILABLE": Words("The server cannot reach its database now.", "Nothing was done. Try again in a moment."),
}
_INTERNAL = Words("The server met a fault of its own.", "Its log tells more. Trying again does no harm.")


def in_words(error: RedriveError) -> Words:
    """The words for an error, by its reason first, then by its kind."""
    known = _BY_REASON.get(error.reason)
    if known is not None:
        return _with_detail(known, error)
    match error:
        case InvalidRequest():
            return Words(str(error), "Mend this, and try again.")
        case FailedPrecondition() | NotFound():
            return Words(error.message, "Look at it as it is now.")
        case Unauthenticated():
            return Words("Your token is not accepted any more.", "Log in again.")
        case PermissionDenied():
            return Words(error.message, "Your token may not do this: ask for one with that scope.")
        case ResourceExhausted():
            return Words(error.message, _when(error.retry_after))
    return _no_answer(error)


def _no_answer(error: RedriveError) -> Words:
    match error:
        case DeadlineExceeded():
            return Words("The server did not answer in time.", "It may have been done: look before you try again.")
        case Unavailable():
            return Words("The server is out of reach.", _when(error.retry_after))
    return _INTERNAL


def _with_detail(known: Words, error: RedriveError) -> Words:
    """The platform's own words belong to a refused token."""
    return Words(error.message, known.do) if error.reason == "TOKEN_REFUSED" else known


def _when(retry_after: float | None) -> str:
    return "Try again in a moment." if retry_after is None else f"Try again in {max(1, round(retry_after))} s."
