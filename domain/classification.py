"""From what the platform answered, or did not answer, to what became of the attempt."""

import re
from collections.abc import Sequence

import msgspec

from domain import graph_codes as codes
from domain.fault import ErrorType, Fault, RetryRule, Scope
from domain.graph_codes import Verdict
from domain.outcome import Failed, Outcome, Sent, Unconfirmed

_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
SHORTEST_ID = 4  # characters of an id that is looked for in a text
# Not found, method not allowed, proxy authentication: whoever answers so has not passed the request on. Any other 4xx
# without a readable error (a gateway's page, say) does not prove that: it is unconfirmed.
_NOT_PASSED_ON = frozenset({404, 405, 407})


class PlatformError(msgspec.Struct, frozen=True, kw_only=True):
    """A readable error as the platform gave it; `code` is None and `subcode` 0 where it gave none."""

    code: int | None = None
    subcode: int = 0
    type_name: str = ""
    message: str = ""
    is_transient: bool | None = None
    error_data: str = ""
    http_status: int = 0


def classify(error: PlatformError) -> Outcome:
    """Decides by code and subcode; by text, type and HTTP status only where these leave it open."""
    if (error.code, error.subcode) == codes.SENT_ALL_THE_SAME:
        return Sent()
    fault = _fault(_verdict(error), error.message or "no message", code=error.code or 0, subcode=error.subcode)
    return Failed(fault) if _is_known_unsent(error) else Unconfirmed(fault)


def unreadable(http_status: int) -> Failed | Unconfirmed:
    """An answer with neither a readable error nor what a success must have."""
    text = f"HTTP {http_status} without a readable answer"
    if http_status == _TOO_MANY_REQUESTS:
        return Failed(_fault(codes.PAGE_LIMITED, text))
    if http_status in _NOT_PASSED_ON:
        return Failed(_fault(codes.UNAVAILABLE, text))
    return Unconfirmed(_fault(codes.UNAVAILABLE, text))


def redirected(http_status: int) -> Fault:
    """Return why a token cannot be tried: the platform redirects no call, so something else has answered."""
    text = f"HTTP {http_status} is a redirect, which is not followed, as the token would go with it: check the address"
    return Fault(message=text, type=ErrorType.OTHER, scope=Scope.APP, retry=RetryRule.NEVER)


def unanswered(reason: str) -> Unconfirmed:
    """No answer, though the request may have arrived."""
    return Unconfirmed(_fault(codes.UNAVAILABLE, f"no answer: {reason}"))


def unconnected(reason: str) -> Failed:
    """No connection, so that the request provably never left."""
    return Failed(_fault(codes.UNAVAILABLE, f"no connection: {reason}"))


def unwritable(reason: str) -> Failed:
    """The request could not even be put into bytes."""
    return Failed(_fault(codes.BAD_CONTENT, f"the request cannot be written: {reason}"))


def attribute(outcome: Outcome, *, page_id: str, recipient_id: str) -> Outcome:
    """Correct whose fault a missing object is, by the id that the platform's text quotes.

    A send names two objects, the page and the recipient. A text with neither id leaves the outcome as it is.
    """
    if not isinstance(outcome, Failed) or not _is_missing_object(outcome.fault):
        return outcome
    text = outcome.fault.message
    if _names(text, page_id) or "'me'" in text:
        return Failed(_verdict_on(outcome.fault, codes.PAGE_UNREACHABLE))
    if _names(text, recipient_id):
        return Failed(_verdict_on(outcome.fault, codes.NO_SUCH_PERSON))
    return outcome


def _is_missing_object(fault: Fault) -> bool:
    if fault.code == codes.UNKNOWN_ALIAS or (fault.code, fault.subcode) == codes.OBJECT_MISSING:
        return True
    is_ambiguous = fault.code == codes.BAD_PARAMETER and not fault.subcode
    return is_ambiguous and fault.type in (ErrorType.PERMISSION, ErrorType.OTHER)


def _names(text: str, object_id: str) -> bool:
    """Return whether a text holds an id as a word of its own, whatever quotation marks its language uses.

    A short id may be any number, such as a limit or the code itself.
    """
    if len(object_id) < SHORTEST_ID:
        return False
    return re.search(rf"(?<![\w#]){re.escape(object_id)}(?!\w)", text) is not None


def _verdict_on(fault: Fault, verdict: Verdict) -> Fault:
    return _fault(verdict, fault.message, code=fault.code, subcode=fault.subcode)


def _is_known_unsent(error: PlatformError) -> bool:
    """An error decides, but for -1, and for a 5xx that names neither code nor type: a gateway on the way may say so."""
    if error.code is None and not error.type_name:
        return error.http_status < _SERVER_ERROR
    return error.code != codes.INTERNAL_ERROR


def _verdict(error: PlatformError) -> Verdict:
    return _by_subcode(error) or _by_text(error) or _by_transience(error) or _by_code(error)


def _by_subcode(error: PlatformError) -> Verdict | None:
    if error.code is None or not error.subcode:
        return None
    if error.subcode == codes.AUTOMATED_FLOW_RUNS:
        return codes.PERSON_BUSY
    if (error.code, error.subcode) == codes.OBJECT_MISSING:
        return _missing_object(error)
    return codes.BY_SUBCODE.get((error.code, error.subcode))


def _missing_object(error: PlatformError) -> Verdict:
    """Return whose object is missing: what is posted to is the page; otherwise the text may quote an id."""
    if error.type_name == "IGApiException":
        return codes.REFUSED
    is_post = "unsupported post request" in error.message.lower()
    return codes.PAGE_UNREACHABLE if is_post else codes.PERSON_MAYBE_MISSING


def _by_text(error: PlatformError) -> Verdict | None:
    text = f"{error.message} {error.error_data}".lower().replace("\u2019", "'")
    if error.code == codes.BAD_QUERY and "active access token must be used" in text:
        return codes.DEAD_TOKEN
    if codes.is_permission_code(error.code):
        return _first_match(codes.PERSON_TEXTS, text)
    return _first_match(codes.TEXTS, text) if error.code in (codes.BAD_PARAMETER, None) else None


def _first_match(texts: Sequence[tuple[str, Verdict]], text: str) -> Verdict | None:
    return next((verdict for words, verdict in texts if words in text), None)


def _by_transience(error: PlatformError) -> Verdict | None:
    if error.is_transient and error.code not in codes.BY_CODE:
        return codes.UNAVAILABLE
    if error.is_transient is False and error.subcode and error.code in codes.TRANSIENT_CODES:
        return codes.UNLISTED  # a reason that has not been seen yet, under a code that is transient otherwise
    return None


def _by_code(error: PlatformError) -> Verdict:
    if error.code == codes.PERMISSION_DENIED and error.subcode:
        return codes.PERSON_MAYBE_FORBIDDEN
    if error.code is not None and error.code in codes.BY_CODE:
        return codes.BY_CODE[error.code]
    if error.http_status == _TOO_MANY_REQUESTS:
        return codes.PAGE_LIMITED
    if error.code is None and error.type_name == "OAuthException":
        return codes.DEAD_TOKEN
    return codes.BAD_CONTENT if error.code == codes.BAD_PARAMETER else codes.UNLISTED


def _fault(verdict: Verdict, message: str, *, code: int = 0, subcode: int = 0) -> Fault:
    return Fault(
        code=code,
        subcode=subcode,
        message=message,
        type=verdict.type,
        scope=verdict.scope,
        retry=verdict.retry,
        is_listed=verdict.is_listed,
    )
