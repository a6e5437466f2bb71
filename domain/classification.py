"""Classification of the platform's answers, and of missing answers, as outcomes of an attempt."""

import re
from collections.abc import Sequence

import msgspec

from domain import graph_codes as codes
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.graph_codes import ErrorClass
from domain.outcome import Failed, Outcome, Sent, Unconfirmed

_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
MIN_ID_LENGTH = 4  # characters; shorter ids are not looked for in error texts
# Not found, method not allowed, proxy authentication required: the host that answers so has not forwarded the request.
# Any other 4xx without a readable error (a gateway's HTML page, for example) does not prove that: it is unconfirmed.
_NOT_FORWARDED = frozenset({404, 405, 407})


class PlatformError(msgspec.Struct, frozen=True, kw_only=True):
    """An error body of the platform; `code` is None and `subcode` is 0 if the body has none."""

    code: int | None = None
    subcode: int = 0
    type_name: str = ""
    message: str = ""
    is_transient: bool | None = None
    error_data: str = ""
    http_status: int = 0


def classify(error: PlatformError) -> Outcome:
    """Return the outcome for an error.

    Code and subcode decide first; text, type and HTTP status decide if these are ambiguous.
    """
    if (error.code, error.subcode) == codes.SENT_DESPITE_ERROR:
        return Sent()
    fault = _fault(_error_class(error), error.message or "no message", code=error.code or 0, subcode=error.subcode)
    return Failed(fault) if _is_known_unsent(error) else Unconfirmed(fault)


def classify_unreadable_answer(http_status: int) -> Failed | Unconfirmed:
    """Return the outcome for an answer that is neither a readable error nor a success."""
    text = f"HTTP {http_status} without a readable answer"
    if http_status == _TOO_MANY_REQUESTS:
        return Failed(_fault(codes.PAGE_LIMITED, text))
    if http_status in _NOT_FORWARDED:
        return Failed(_fault(codes.UNAVAILABLE, text))
    return Unconfirmed(_fault(codes.UNAVAILABLE, text))


def redirect_fault(http_status: int) -> Fault:
    """Return the fault for a redirect in answer to a token check.

    The platform never redirects, so another host answered. The server does not follow the redirect, because it would
    send the token there.
    """
    text = f"HTTP {http_status} is a redirect, which is not followed, as the token would go with it: check the address"
    return Fault(message=text, type=ErrorType.OTHER, scope=FaultScope.APP, retry=RetryRule.NEVER)


def classify_no_answer(reason: str) -> Unconfirmed:
    """Return the outcome without an answer: the request may have arrived."""
    return Unconfirmed(_fault(codes.UNAVAILABLE, f"no answer: {reason}"))


def classify_no_connection(reason: str) -> Failed:
    """Return the outcome without a connection: the request was provably not sent."""
    return Failed(_fault(codes.UNAVAILABLE, f"no connection: {reason}"))


def classify_unserializable(reason: str) -> Failed:
    """Return the outcome for a request that cannot be serialized."""
    return Failed(_fault(codes.BAD_CONTENT, f"the request cannot be written: {reason}"))


def attribute_missing_object(outcome: Outcome, *, page_id: str, recipient_id: str) -> Outcome:
    """Return the outcome with a missing object attributed to the page or the recipient, by the id in the error text.

    A request names both. If the text has neither id, the outcome stays the same.
    """
    if not isinstance(outcome, Failed) or not _is_missing_object(outcome.fault):
        return outcome
    text = outcome.fault.message
    if _names(text, page_id) or "'me'" in text:
        return Failed(_with_class(outcome.fault, codes.PAGE_UNREACHABLE))
    if _names(text, recipient_id):
        return Failed(_with_class(outcome.fault, codes.UNKNOWN_RECIPIENT))
    return outcome


def _is_missing_object(fault: Fault) -> bool:
    if fault.code == codes.UNKNOWN_ALIAS or (fault.code, fault.subcode) == codes.OBJECT_MISSING:
        return True
    is_ambiguous = fault.code == codes.BAD_PARAMETER and not fault.subcode
    return is_ambiguous and fault.type in (ErrorType.PERMISSION, ErrorType.OTHER)


def _names(text: str, object_id: str) -> bool:
    """Return whether a text contains an id as a separate word, in any kind of quotation marks.

    Ids shorter than SHORTEST_ID never match: the number in the text may be a limit or the error code.
    """
    if len(object_id) < MIN_ID_LENGTH:
        return False
    return re.search(rf"(?<![\w#]){re.escape(object_id)}(?!\w)", text) is not None


def _with_class(fault: Fault, error_class: ErrorClass) -> Fault:
    return _fault(error_class, fault.message, code=fault.code, subcode=fault.subcode)


def _is_known_unsent(error: PlatformError) -> bool:
    """Return whether the error proves that the message was not sent.

    Code -1 does not, nor a 5xx without code and type, which may come from a gateway.
    """
    if error.code is None and not error.type_name:
        return error.http_status < _SERVER_ERROR
    return error.code != codes.INTERNAL_ERROR


def _error_class(error: PlatformError) -> ErrorClass:
    return _by_subcode(error) or _by_text(error) or _by_transience(error) or _by_code(error)


def _by_subcode(error: PlatformError) -> ErrorClass | None:
    if error.code is None or not error.subcode:
        return None
    if error.subcode == codes.AUTOMATED_FLOW_RUNS:
        return codes.RECIPIENT_BUSY
    if (error.code, error.subcode) == codes.OBJECT_MISSING:
        return _missing_object(error)
    return codes.BY_SUBCODE.get((error.code, error.subcode))


def _missing_object(error: PlatformError) -> ErrorClass:
    """Return the class of a missing object: the page if the POST itself failed, otherwise probably the recipient."""
    if error.type_name == "IGApiException":
        return codes.REFUSED
    is_post = "unsupported post request" in error.message.lower()
    return codes.PAGE_UNREACHABLE if is_post else codes.RECIPIENT_MAYBE_UNKNOWN


def _by_text(error: PlatformError) -> ErrorClass | None:
    text = f"{error.message} {error.error_data}".lower().replace("\u2019", "'")
    if error.code == codes.BAD_QUERY and "active access token must be used" in text:
        return codes.INVALID_TOKEN
    if codes.is_permission_code(error.code):
        return _first_match(codes.RECIPIENT_TEXTS, text)
    return _first_match(codes.TEXTS, text) if error.code in (codes.BAD_PARAMETER, None) else None


def _first_match(texts: Sequence[tuple[str, ErrorClass]], text: str) -> ErrorClass | None:
    return next((error_class for words, error_class in texts if words in text), None)


def _by_transience(error: PlatformError) -> ErrorClass | None:
    if error.is_transient and error.code not in codes.BY_CODE:
        return codes.UNAVAILABLE
    if error.is_transient is False and error.subcode and error.code in codes.TRANSIENT_CODES:
        return codes.UNLISTED  # an unknown subcode of a code that is usually transient
    return None


def _by_code(error: PlatformError) -> ErrorClass:
    if error.code == codes.PERMISSION_DENIED and error.subcode:
        return codes.RECIPIENT_MAYBE_FORBIDDEN
    if error.code is not None and error.code in codes.BY_CODE:
        return codes.BY_CODE[error.code]
    if error.http_status == _TOO_MANY_REQUESTS:
        return codes.PAGE_LIMITED
    if error.code is None and error.type_name == "OAuthException":
        return codes.INVALID_TOKEN
    return codes.BAD_CONTENT if error.code == codes.BAD_PARAMETER else codes.UNLISTED


def _fault(error_class: ErrorClass, message: str, *, code: int = 0, subcode: int = 0) -> Fault:
    return Fault(
        code=code,
        subcode=subcode,
        message=message,
        type=error_class.type,
        scope=error_class.scope,
        retry=error_class.retry,
        is_listed=error_class.is_listed,
    )
