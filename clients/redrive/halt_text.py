"""Words for what halts a message: why it was stopped or its page is on hold, and what to do about it."""

from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Stop, StopCause
from redrive.v1.page_pb2 import PageHold

_CAUSES = {
    StopCause.STOP_CAUSE_CONTENT: "the platform refuses its content",
    StopCause.STOP_CAUSE_REPEATED_ERROR: "every attempt gets the same error",
    StopCause.STOP_CAUSE_FAILURE_SHARE: "too many attempts fail",
}
_REMEDIES = {
    StopCause.STOP_CAUSE_CONTENT: "Resend with corrected content, or resume it.",
    StopCause.STOP_CAUSE_REPEATED_ERROR: "Find the cause of the error, then resume it.",
    StopCause.STOP_CAUSE_FAILURE_SHARE: "Look at the failures, then resume it, or cancel it.",
}


def cause_of(stop: Stop) -> str:
    """Return why the message was stopped, with the counts and the platform's last error."""
    counts = f"{stop.failed:,} of {stop.attempts:,} attempts failed"
    code = f"{stop.error_code}-{stop.error_subcode}" if stop.error_subcode else str(stop.error_code)
    error = f"; last error {code}: {stop.error_message}" if stop.error_message else ""
    return f"{_CAUSES.get(stop.cause, 'attempts fail')} ({counts}{error})"


def remedy_for(stop: Stop) -> str:
    """Return what a person can do so that the message goes on."""
    return _REMEDIES.get(stop.cause, "Resume it.")


def remedy_for_hold(hold: PageHold) -> str:
    """Return what a person can do so that the page goes on."""
    if hold.error_type == ErrorType.ERROR_TYPE_ACCESS_TOKEN:
        return "Replace the page's token."
    if hold.error_type == ErrorType.ERROR_TYPE_UNSPECIFIED:
        return "Release the page."
    return "Remove the cause with the platform, then release the page or replace its token."
