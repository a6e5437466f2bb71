"""What the Graph API's error codes mean: a row for each meaning.

Source: the platform's published error table and real bodies (tests/data/graph_api_errors.json); the scopes are derived.
"""

from collections.abc import Mapping
from typing import NamedTuple

from domain.fault import ErrorType, RetryRule, Scope


class Verdict(NamedTuple):
    """What an error means for this attempt and for others; an unlisted one is a guess."""

    type: ErrorType
    scope: Scope
    retry: RetryRule
    is_listed: bool = True


UNAVAILABLE = Verdict(ErrorType.NETWORK, Scope.TRANSPORT, RetryRule.AUTOMATIC)
DEAD_TOKEN = Verdict(ErrorType.ACCESS_TOKEN, Scope.PAGE, RetryRule.NEW_TOKEN)
APP_LIMITED = Verdict(ErrorType.RATE_LIMIT, Scope.APP, RetryRule.AUTOMATIC)
PAGE_LIMITED = Verdict(ErrorType.RATE_LIMIT, Scope.PAGE, RetryRule.AUTOMATIC)
PERSON_LIMITED = Verdict(ErrorType.RATE_LIMIT, Scope.RECIPIENT, RetryRule.AUTOMATIC)
APP_FORBIDDEN = Verdict(ErrorType.PERMISSION, Scope.APP, RetryRule.NEVER)
PAGE_FORBIDDEN = Verdict(ErrorType.PERMISSION, Scope.PAGE, RetryRule.NEVER)
PAGE_BLOCKED = Verdict(ErrorType.PERMISSION, Scope.PAGE, RetryRule.AUTOMATIC)
PERSON_FORBIDDEN = Verdict(ErrorType.PERMISSION, Scope.RECIPIENT, RetryRule.NEVER)
NO_SUCH_PERSON = Verdict(ErrorType.INVALID_RECIPIENT, Scope.RECIPIENT, RetryRule.NEVER)
PERSON_BUSY = Verdict(ErrorType.OTHER, Scope.RECIPIENT, RetryRule.AUTOMATIC)
BAD_CONTENT = Verdict(ErrorType.OTHER, Scope.CONTENT, RetryRule.NEVER)
REFUSED = Verdict(ErrorType.OTHER, Scope.RECIPIENT, RetryRule.NEVER)
PAGE_UNREACHABLE = Verdict(ErrorType.PERMISSION, Scope.PAGE, RetryRule.NEW_TOKEN)  # gone, or not this token's
APP_REFUSED = Verdict(ErrorType.PERMISSION, Scope.APP, RetryRule.NEW_TOKEN)  # until its settings are corrected
APP_OUTDATED = Verdict(ErrorType.OTHER, Scope.APP, RetryRule.NEW_TOKEN)  # until a newer Graph version is configured
APP_UNKNOWN = Verdict(ErrorType.ACCESS_TOKEN, Scope.APP, RetryRule.NEW_TOKEN)
UNLISTED = REFUSED._replace(is_listed=False)
PERSON_MAYBE_FORBIDDEN = PERSON_FORBIDDEN._replace(is_listed=False)
PERSON_MAYBE_MISSING = NO_SUCH_PERSON._replace(is_listed=False)

INTERNAL_ERROR = -1  # "send message failure": whether it was sent, the platform does not know
PERMISSION_DENIED = 10  # with a subcode that is not listed it says nothing about the whole page
BAD_PARAMETER = 100  # its text has to say which: a person, a credential or the content
BAD_QUERY = 2500  # its text has to say whether the token was missing
OBJECT_MISSING = (100, 33)  # the page, a person, or an object of another API: the id in its text says which
UNKNOWN_ALIAS = 803  # "some of the aliases you requested do not exist": as OBJECT_MISSING
SENT_ALL_THE_SAME = (1, 1357046)  # "invalid JSON reply": the message did arrive; another attempt would be a second one
OUTSIDE_WINDOW = ((10, 2018278), (10, 2018065), (10, 2534022))  # more than 24 hours after the person's last message
AUTOMATED_FLOW_RUNS = 2018321  # documented without its code
TRANSIENT_CODES = frozenset({INTERNAL_ERROR, 1, 2})

BY_CODE: Mapping[int, Verdict] = {
    **dict.fromkeys((INTERNAL_ERROR, 1, 2, 1200), UNAVAILABLE),
    **dict.fromkeys((4, 341), APP_LIMITED),
    **dict.fromkeys((17, 32, 613), PAGE_LIMITED),
    **dict.fromkeys(
        (*range(80000, 80007), 80008, 80009, 80014), PAGE_LIMITED
    ),  # business use cases; 80006 is Messenger
    130429: PAGE_LIMITED,  # the platform's sister API answers with this pair
    131056: PERSON_LIMITED,
    3: APP_FORBIDDEN,
    5: APP_REFUSED,  # the server's address is not on the app's list
    **dict.fromkeys((12, 2635), APP_OUTDATED),  # the call, or the version of the API, is no longer served
    **dict.fromkeys((101, 104), APP_UNKNOWN),  # the app's key, or its signature, is wrong
    **dict.fromkeys((10, 2022, *range(200, 300)), PAGE_FORBIDDEN),
    368: PAGE_BLOCKED,  # for policy, for a time
    551: NO_SUCH_PERSON,
    506: REFUSED,  # a duplicate post
    **dict.fromkeys((102, 190), DEAD_TOKEN),
    AUTOMATED_FLOW_RUNS: PERSON_BUSY,
}

_ROWS: tuple[tuple[int, tuple[int, ...], Verdict], ...] = (
    (-1, (2534023,), REFUSED),  # a private reply was sent before
    (-1, (4279047,), BAD_CONTENT),  # an invalid link
    (2, (2018344,), PAGE_FORBIDDEN),  # the page has to accept terms
    (4, (2018354,), PERSON_LIMITED),
    (9, (2018352,), PERSON_LIMITED),
    (613, (2018338,), PERSON_LIMITED),
    (613, (1893016,), REFUSED),  # the opt-in was sent before
    *((code, (subcode,), PERSON_FORBIDDEN) for code, subcode in OUTSIDE_WINDOW),
    (10, (1893015, 2018300), PERSON_FORBIDDEN),  # the topic was stopped; another app holds the conversation
    (10, (2018108,), NO_SUCH_PERSON),
    (200, (1545041,), NO_SUCH_PERSON),
    (10, (1893063,), PAGE_LIMITED),  # the page may not send for a time
    (10, (1404170, 2534077), PAGE_FORBIDDEN),
    (200, (2018028, 2018027), APP_FORBIDDEN),  # the app is not reviewed or not live
    (100, (2018001, 2534014), NO_SUCH_PERSON),
    (100, (2534001, 2534037), REFUSED),  # the thread is archived, or another's
    (100, (2018008, 2018047, 2018074, 2018109, 2018294, 2018014, 2018320, 2018328), BAD_CONTENT),
    (100, (2534015, 2018032, 2018034, 1893043), BAD_CONTENT),
    (100, (2018164, 2534013, 2534029), PAGE_FORBIDDEN),  # a wrong app id, no link, blocked from messaging
)
BY_SUBCODE: Mapping[tuple[int, int], Verdict] = {
    (code, subcode): verdict for code, subcodes, verdict in _ROWS for subcode in subcodes
}

# In lower case with plain apostrophes, first match wins; read only where the code alone is ambiguous.
PERSON_TEXTS: tuple[tuple[str, Verdict], ...] = (
    ("outside of allowed window", PERSON_FORBIDDEN),
    ("outside of the allowed window", PERSON_FORBIDDEN),
    ("outside the allowed window", PERSON_FORBIDDEN),
    ("outside of the standard messaging window", PERSON_FORBIDDEN),
    ("outside the standard messaging window", PERSON_FORBIDDEN),
    ("24 hour window", PERSON_FORBIDDEN),
    ("24-hour window", PERSON_FORBIDDEN),
    ("24h window", PERSON_FORBIDDEN),
    ("another app is controlling this thread", PERSON_FORBIDDEN),
    ("(#551)", NO_SUCH_PERSON),
    ("isn't receiving messages", NO_SUCH_PERSON),
    ("is not receiving messages", NO_SUCH_PERSON),
    ("person isn't available", NO_SUCH_PERSON),
    ("person is not available", NO_SUCH_PERSON),
    ("no matching user found", NO_SUCH_PERSON),
    ("user not found", NO_SUCH_PERSON),
)
TEXTS: tuple[tuple[str, Verdict], ...] = (
    *PERSON_TEXTS,
    ("recipient[id]", NO_SUCH_PERSON),
    ("invalid user", NO_SUCH_PERSON),
    ("invalid fbid", NO_SUCH_PERSON),
    ("appsecret_proof", DEAD_TOKEN),
    ("app secret proof", APP_FORBIDDEN),
    ("unsupported post request", PAGE_FORBIDDEN),  # the token may not post to the object
    ("unsupported get request", REFUSED),
)


def is_permission_code(code: int | None) -> bool:
    """Return whether a code is about permissions: of the page, or of one person, which only its text can say."""
    return code is not None and (code == PERMISSION_DENIED or 200 <= code < 300)
