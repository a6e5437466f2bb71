"""The exceptions that a call can raise: one tree, by the gRPC status of the response.

RedriveError              any other status; `code` holds it
├── InvalidRequest        INVALID_ARGUMENT, OUT_OF_RANGE; `violations` name the fields
├── NotFound
├── AlreadyExists         the request_id was used for another request
├── FailedPrecondition    `violations` say which conditions are not met
├── PermissionDenied
├── Unauthenticated
├── ResourceExhausted     `retry_after`
├── Unavailable           `retry_after`; also if no server could be reached
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
    """A condition that is not met: its type, its subject, and what to do about it."""

    type: str
    subject: str
    description: str


class RedriveError(Exception):
    """A call that failed. `reason` is the server's error reason (google.rpc.ErrorInfo), empty if it gave none."""

    def __init__(self, message: str, *, code: grpc.StatusCode, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


class InvalidRequest(RedriveError):
    """The request is wrong in any state of the server: repeating it fails again."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", violations: Sequence[FieldViolation] = ()
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.violations = list(violations)

    def __str__(self) -> str:
        """Return each violation on a line; the server's message holds only the first few of them."""
        if not self.violations:
            return self.message
        unlisted = _UNLISTED.search(self.message)
        lines = [f"{field}: {description}" for field, description in self.violations]
        return "\n".join([*lines, unlisted.group()] if unlisted else lines)


class NotFound(RedriveError):
    """The request names something that does not exist."""


class AlreadyExists(RedriveError):
    """The request_id was used before, for another request."""


class FailedPrecondition(RedriveError):
    """The request is valid, but the present state of its subject does not allow it."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", violations: Sequence[PreconditionViolation] = ()
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.violations = list(violations)


class PermissionDenied(RedriveError):
    """The caller is known, but lacks the permission."""


class Unauthenticated(RedriveError):
    """The call carried no token, or one that the server does not accept."""


class ResourceExhausted(RedriveError):
    """A limit of the server is exceeded; `retry_after` is in seconds, None if the server gave none."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.retry_after = retry_after


class Unavailable(RedriveError):
    """The server is not available now; `retry_after` is in seconds, None if the server gave none."""

    def __init__(
        self, message: str, *, code: grpc.StatusCode, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code, reason=reason)
        self.retry_after = retry_after


class DeadlineExceeded(RedriveError):
    """No response in time. The server may have carried out a write nevertheless."""
