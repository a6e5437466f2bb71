"""The meaning of the Graph API's error codes: type, scope and retry rule of each.

Source: the platform's published error table and real error bodies (tests/data/graph_api_errors.json). The scopes are
our conclusions from both.
"""

from collections.abc import Mapping
from typing import NamedTuple

from domain.fault import ErrorType, FaultScope, RetryRule


class ErrorClass(NamedTuple):
    """The meaning of an error; `is_listed` is false if it is a guess about an unknown code."""

    type: ErrorType
    scope: FaultScope
    retry: RetryRule
    is_listed: bool = True


UNAVAILABLE = ErrorClass(ErrorType.NETWORK, FaultScope.TRANSPORT, RetryRule.AUTOMATIC)
INVALID_TOKEN = ErrorClass(ErrorType.ACCESS_TOKEN, FaultScope.PAGE, RetryRule.NEW_TOKEN)
APP_LIMITED = ErrorClass(ErrorType.RATE_LIMIT, FaultScope.APP, RetryRule.AUTOMATIC)
PAGE_LIMITED = ErrorClass(ErrorType.RATE_LIMIT, FaultScope.PAGE, RetryRule.AUTOMATIC)
RECIPIENT_LIMITED = ErrorClass(ErrorType.RATE_LIMIT, FaultScope.RECIPIENT, RetryRule.AUTOMATIC)
APP_FORBIDDEN = ErrorClass(ErrorType.PERMISSION, FaultScope.APP, RetryRule.NEVER)
PAGE_FORBIDDEN = ErrorClass(ErrorType.PERMISSION, FaultScope.PAGE, RetryRule.NEVER)
PAGE_BLOCKED = ErrorClass(ErrorType.PERMISSION, FaultScope.PAGE, RetryRule.AUTOMATIC)
RECIPIENT_FORBIDDEN = ErrorClass(ErrorType.PERMISSION, FaultScope.RECIPIENT, RetryRule.NEVER)
UNKNOWN_RECIPIENT = ErrorClass(ErrorType.INVALID_RECIPIENT, FaultScope.RECIPIENT, RetryRule.NEVER)
RECIPIENT_BUSY = ErrorClass(ErrorType.OTHER, FaultScope.RECIPIENT, RetryRule.AUTOMATIC)
BAD_CONTENT = ErrorClass(ErrorType.OTHER, FaultScope.CONTENT, RetryRule.NEVER)
REFUSED = ErrorClass(ErrorType.OTHER, FaultScope.RECIPIENT, RetryRule.NEVER)
PAGE_UNREACHABLE = ErrorClass(
    ErrorType.PERMISSION, FaultScope.PAGE, RetryRule.NEW_TOKEN
)  # deleted, or not this token's page
APP_REFUSED = ErrorClass(ErrorType.PERMISSION, FaultScope.APP, RetryRule.NEW_TOKEN)  # until its settings are corrected
APP_OUTDATED = ErrorClass(ErrorType.OTHER, FaultScope.APP, RetryRule.NEW_TOKEN)  # until a newer version is set
APP_UNKNOWN = ErrorClass(ErrorType.ACCESS_TOKEN, FaultScope.APP, RetryRule.NEW_TOKEN)
UNLISTED = REFUSED._replace(is_listed=False)
RECIPIENT_MAYBE_FORBIDDEN = RECIPIENT_FORBIDDEN._replace(is_listed=False)
RECIPIENT_MAYBE_UNKNOWN = UNKNOWN_RECIPIENT._replace(is_listed=False)

INTERNAL_ERROR = -1  # "send message failure": the platform does not know whether the message was sent
PERMISSION_DENIED = 10  # an unlisted subcode proves nothing about the whole page
BAD_PARAMETER = 100  # only the text says which parameter: the recipient, a credential or the content
BAD_QUERY = 2500  # only the text says whether the token was missing
OBJECT_MISSING = (100, 33)  # the page, the recipient or an object of another API: the id in the text says which
UNKNOWN_ALIAS = 803  # "some of the aliases you requested do not exist": treated as OBJECT_MISSING
SENT_DESPITE_ERROR = (1, 1357046)  # "invalid JSON reply": the message did arrive; a retry would send it twice
OUTSIDE_WINDOW = ((10, 2018278), (10, 2018065), (10, 2534022))  # more than 24 hours after the recipient's last message
AUTOMATED_FLOW_RUNS = 2018321  # documented without its code
TRANSIENT_CODES = frozenset({INTERNAL_ERROR, 1, 2})

BY_CODE: Mapping[int, ErrorClass] = {
    **dict.fromkeys((INTERNAL_ERROR, 1, 2, 1200), UNAVAILABLE),
    **dict.fromkeys((4, 341), APP_LIMITED),
    **dict.fromkeys((17, 32, 613), PAGE_LIMITED),
    **dict.fromkeys(
        (*range(80000, 80007), 80008, 80009, 80014), PAGE_LIMITED
    ),  # business use cases; 80006 is Messenger
    130429: PAGE_LIMITED,  # this and the next are codes of the WhatsApp Business API
    131056: RECIPIENT_LIMITED,
    3: APP_FORBIDDEN,
    5: APP_REFUSED,  # the server's address is not on the app's list
    **dict.fromkeys((12, 2635), APP_OUTDATED),  # the call, or the version of the API, is no longer served
    **dict.fromkeys((101, 104), APP_UNKNOWN),  # the app's key, or its signature, is wrong
    **dict.fromkeys((10, 2022, *range(200, 300)), PAGE_FORBIDDEN),
    368: PAGE_BLOCKED,  # temporarily, for a policy violation
    551: UNKNOWN_RECIPIENT,
    506: REFUSED,  # a duplicate post
    **dict.fromkeys((102, 190), INVALID_TOKEN),
    AUTOMATED_FLOW_RUNS: RECIPIENT_BUSY,
}

_ROWS: tuple[tuple[int, tuple[int, ...], ErrorClass], ...] = (
    (-1, (2534023,), REFUSED),  # a private reply was sent before
    (-1, (4279047,), BAD_CONTENT),  # an invalid link
    (2, (2018344,), PAGE_FORBIDDEN),  # the page has to accept terms
    (4, (2018354,), RECIPIENT_LIMITED),
    (9, (2018352,), RECIPIENT_LIMITED),
    (613, (2018338,), RECIPIENT_LIMITED),
    (613, (1893016,), REFUSED),  # the opt-in was sent before
    *((code, (subcode,), RECIPIENT_FORBIDDEN) for code, subcode in OUTSIDE_WINDOW),
    (10, (1893015, 2018300), RECIPIENT_FORBIDDEN),  # the topic was stopped; another app holds the conversation
    (10, (2018108,), UNKNOWN_RECIPIENT),
    (200, (1545041,), UNKNOWN_RECIPIENT),
    (10, (1893063,), PAGE_LIMITED),  # the page is temporarily not allowed to send
    (10, (1404170, 2534077), PAGE_FORBIDDEN),
    (200, (2018028, 2018027), APP_FORBIDDEN),  # the app is not reviewed or not live
    (100, (2018001, 2534014), UNKNOWN_RECIPIENT),
    (100, (2534001, 2534037), REFUSED),  # the thread is archived, or belongs to another app
    (100, (2018008, 2018047, 2018074, 2018109, 2018294, 2018014, 2018320, 2018328), BAD_CONTENT),
    (100, (2534015, 2018032, 2018034, 1893043), BAD_CONTENT),
    (100, (2018164, 2534013, 2534029), PAGE_FORBIDDEN),  # a wrong app id, no link, blocked from messaging
)
BY_SUBCODE: Mapping[tuple[int, int], ErrorClass] = {
    (code, subcode): error_class for code, subcodes, error_class in _ROWS for subcode in subcodes
}

# Lower case, with plain apostrophes. The first match wins. Texts are compared only if the code alone is ambiguous.
RECIPIENT_TEXTS: tuple[tuple[str, ErrorClass], ...] = (
    ("outside of allowed window", RECIPIENT_FORBIDDEN),
    ("outside of the allowed window", RECIPIENT_FORBIDDEN),
    ("outside the allowed window", RECIPIENT_FORBIDDEN),
    ("outside of the standard messaging window", RECIPIENT_FORBIDDEN),
    ("outside the standard messaging window", RECIPIENT_FORBIDDEN),
    ("24 hour window", RECIPIENT_FORBIDDEN),
    ("24-hour window", RECIPIENT_FORBIDDEN),
    ("24h window", RECIPIENT_FORBIDDEN),
    ("another app is controlling this thread", RECIPIENT_FORBIDDEN),
    ("(#551)", UNKNOWN_RECIPIENT),
    ("isn't receiving messages", UNKNOWN_RECIPIENT),
    ("is not receiving messages", UNKNOWN_RECIPIENT),
    ("person isn't available", UNKNOWN_RECIPIENT),
    ("person is not available", UNKNOWN_RECIPIENT),
    ("no matching user found", UNKNOWN_RECIPIENT),
    ("user not found", UNKNOWN_RECIPIENT),
)
TEXTS: tuple[tuple[str, ErrorClass], ...] = (
    *RECIPIENT_TEXTS,
    ("recipient[id]", UNKNOWN_RECIPIENT),
    ("invalid user", UNKNOWN_RECIPIENT),
    ("invalid fbid", UNKNOWN_RECIPIENT),
    ("appsecret_proof", INVALID_TOKEN),
    ("app secret proof", APP_FORBIDDEN),
    ("unsupported post request", PAGE_FORBIDDEN),  # the token may not post to the object
    ("unsupported get request", REFUSED),
)


def is_permission_code(code: int | None) -> bool:
    """Return whether a code is about permissions; only the text says whether of the page or of one recipient."""
    return code is not None and (code == PERMISSION_DENIED or 200 <= code < 300)
