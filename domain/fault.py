"""A fault: why an attempt did not succeed, and whether another attempt can."""

from enum import StrEnum

import msgspec


class ErrorType(StrEnum):
    """The six types by which failures are listed, counted and resent."""

    ACCESS_TOKEN = "ACCESS_TOKEN"  # noqa: S105 - the name of an error, not a secret
    RATE_LIMIT = "RATE_LIMIT"
    NETWORK = "NETWORK"
    INVALID_RECIPIENT = "INVALID_RECIPIENT"
    PERMISSION = "PERMISSION"
    OTHER = "OTHER"


class FaultScope(StrEnum):
    """Which other attempts would get the same fault."""

    RECIPIENT = "RECIPIENT"
    PAGE = "PAGE"
    APP = "APP"
    CONTENT = "CONTENT"
    TRANSPORT = "TRANSPORT"


class RetryRule(StrEnum):
    """When an automatic retry can succeed."""

    AUTOMATIC = "AUTOMATIC"
    NEW_TOKEN = "NEW_TOKEN"  # noqa: S105 - after the page gets a new token or is released from a hold
    NEVER = "NEVER"


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A classified error; code and subcode are 0 if the platform gave none.

    If the code is not listed in domain/graph_codes.py, scope and retry rule are guesses.
    """

    code: int = 0
    subcode: int = 0
    message: str
    type: ErrorType
    scope: FaultScope
    retry: RetryRule
    is_listed: bool = True
