"""What a call can raise: one tree, after the status that the server answered with.

RedriveError              any other status; `code` says which
├── InvalidRequest        INVALID_ARGUMENT, OUT_OF_RANGE; `violations` name the fields
├── NotFound
├── AlreadyExists         the request_id was used for another request
├── FailedPrecondition    `violations` say what stands in the way
├── PermissionDenied
├── Unauthenticated
├── ResourceExhausted     `retry_after`
├── Unavailable           `retry_after`; also when no server could be reached
└── DeadlineExceeded
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import grpc

_UNLISTED = re.compile(r"\(and [\d,]+ more that are not listed\)$")


class FieldViolation(NamedTuple):
    """A field of the request (a path such as `recipients[3].id`), and what is wrong with it."""

    field: str
    description: str


class PreconditionViolation(NamedTuple):
    """What stands in the way: its kind, whom it concerns, and what to do about it."""

    type: str
    subject: str
    description: str


class RedriveError(Exception):
    """A call that did not succeed; `reason` is the server's word for why, empty where it gave none."""

    def __init__(self, message: str, *, code: grpc.StatusCode, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


class InvalidRequest(RedriveError):
    """The request is wrong and stays wrong, whatever the state of the server."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", violations: Sequence[FieldViolation] = ()
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.violations = list(violations)

    def __str__(self) -> str:
        """Each violation once: the server's message tells the first few of them, and how many are not listed."""
        if not self.violations:
            return self.message
        unlisted = _UNLISTED.search(self.message)
        lines = [f"{field}: {description}" for field, description in self.violations]
        return "\n".join([*lines, unlisted.group()] if unlisted else lines)


class NotFound(RedriveError):
    """What the request names is not there."""


class AlreadyExists(RedriveError):
    """The request_id was given before, with another request."""


class FailedPrecondition(RedriveError):
    """The request is in order, but not in the present state of what it names."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", violations: Sequence[PreconditionViolation] = ()
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.violations = list(violations)


class PermissionDenied(RedriveError):
    """The caller is known, and may not do this."""


class Unauthenticated(RedriveError):
    """The call carried no token, or one that the server does not know."""


class ResourceExhausted(RedriveError):
    """Too much at once; `retry_after` is in seconds, None where the server named no time."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.retry_after = retry_after


class Unavailable(RedriveError):
    """No answer now, later perhaps; `retry_after` is in seconds, None where the server named no time."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.retry_after = retry_after


class DeadlineExceeded(RedriveError):
    """No answer in time; a write may have been carried out all the same."""
