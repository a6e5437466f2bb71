"""Texts about a stopped message and a page on hold: why, and what to do."""

from redrive.texts.errors import error_code
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Stop, StopCause
from redrive.v1.page_pb2 import PageHold

_CAUSES = {
    StopCause.STOP_CAUSE_CONTENT: "the platform refuses its content",
    StopCause.STOP_CAUSE_REPEATED_ERROR: "every attempt gets the same error",
    StopCause.STOP_CAUSE_FAILURE_SHARE: "too many attempts fail",
}
_REMEDIES = {
    StopCause.STOP_CAUSE_CONTENT: "Resend with corrected content, or resume the message.",
    StopCause.STOP_CAUSE_REPEATED_ERROR: "Find the cause of the error, then resume the message.",
    StopCause.STOP_CAUSE_FAILURE_SHARE: "Check the failures, then resume or cancel the message.",
}


def stop_cause_text(stop: Stop) -> str:
    """Return why the message was stopped, with the counts and the platform's last error."""
    counts = f"{stop.failed:,} of {stop.attempts:,} attempts failed"
    code = error_code(stop.error_code, stop.error_subcode)
    error = f"; last error {code}: {stop.error_message}" if stop.error_message else ""
    return f"{_CAUSES.get(stop.cause, 'attempts fail')} ({counts}{error})"


def stop_remedy(stop: Stop) -> str:
    """Return what to do so that the message continues."""
    return _REMEDIES.get(stop.cause, "Resume the message.")


def hold_remedy(hold: PageHold) -> str:
    """Return what to do so that the page is released."""
    if hold.error_type == ErrorType.ERROR_TYPE_ACCESS_TOKEN:
        return "Replace the page's token."
    if hold.error_type == ErrorType.ERROR_TYPE_UNSPECIFIED:
        return "Release the page."
    return "Solve the problem on the platform, then release the page or replace its token."
