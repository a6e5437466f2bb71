"""Why an attempt did not succeed: the platform's error, and what it means for the next attempt."""

from enum import StrEnum

import msgspec


class ErrorType(StrEnum):
    """The six words that people sort failures by."""

    ACCESS_TOKEN = "ACCESS_TOKEN"  # noqa: S105 - the name of an error, not a secret
    RATE_LIMIT = "RATE_LIMIT"
    NETWORK = "NETWORK"
    INVALID_RECIPIENT = "INVALID_RECIPIENT"
    PERMISSION = "PERMISSION"
    OTHER = "OTHER"


class Scope(StrEnum):
    """Whom else the same fault would hit."""

    RECIPIENT = "RECIPIENT"
    PAGE = "PAGE"
    APP = "APP"
    CONTENT = "CONTENT"
    TRANSPORT = "TRANSPORT"


class RetryRule(StrEnum):
    """When another attempt can succeed without a person's doing."""

    AUTOMATIC = "AUTOMATIC"
    NEW_TOKEN = "NEW_TOKEN"  # noqa: S105 - once the page has another token, or is released from a hold
    NEVER = "NEVER"


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A classified error; code and subcode are 0 where the platform gave none.

    Of a code that is not listed in the table of codes, scope and retry rule are guesses.
    """

    code: int = 0
    subcode: int = 0
    message: str
    type: ErrorType
    scope: Scope
    retry: RetryRule
    is_listed: bool = True
