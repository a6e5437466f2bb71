"""Mapping of errors (domain/errors.py) to the status that a caller gets: a code, a message, and google.rpc details."""

from collections.abc import Iterator, Sequence

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from domain.errors import (
    Aborted,
    AlreadyExists,
    InvalidRequest,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    RedriveError,
    Unavailable,
    Violation,
)
from server.api.errors import CallTooLong, Exhausted, RequestTooLarge
from server.auth.errors import PermissionDenied, Unauthenticated

CODES = (
    (InvalidRequest, code_pb2.INVALID_ARGUMENT),
    (NotFound, code_pb2.NOT_FOUND),
    (NotAllowed, code_pb2.PERMISSION_DENIED),
    (AlreadyExists, code_pb2.ALREADY_EXISTS),
    (PreconditionFailed, code_pb2.FAILED_PRECONDITION),
    (Aborted, code_pb2.ABORTED),
    (Unavailable, code_pb2.UNAVAILABLE),
    (Unauthenticated, code_pb2.UNAUTHENTICATED),
    (PermissionDenied, code_pb2.PERMISSION_DENIED),
    (Exhausted, code_pb2.RESOURCE_EXHAUSTED),
    (RequestTooLarge, code_pb2.RESOURCE_EXHAUSTED),
    (CallTooLong, code_pb2.DEADLINE_EXCEEDED),
)

DOMAIN = "redrive"
MAX_VIOLATIONS = 50
# gRPC allows 8 KiB for all metadata. The details are sent as base64, which is a third longer, and the message is sent a
# second time, percent-encoded.
MAX_VIOLATION_BYTES = 4_000
MAX_DESCRIPTION_LENGTH = 200  # characters of one description


def status_of(error: Exception) -> Status:
    """Return the status of an error; an error of an unknown type becomes INTERNAL without details."""
    for kind, code in CODES:
        if isinstance(error, kind):
            return _status(code, _message(error), _details(error))
    info = ErrorInfo(reason="INTERNAL", domain=DOMAIN)
    return _status(code_pb2.INTERNAL, "internal error: see the server's log", [info])


def _status(code: code_pb2.Code, message: str, details: Iterator[Message] | Sequence[Message]) -> Status:
    status = Status(code=code, message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _message(error: RedriveError) -> str:
    if not isinstance(error, InvalidRequest):
        return _short(error.message)
    more = len(error.violations) - len(_reported(error.violations))
    return _short(error.message) + (f" (and {more:,} more that are not listed)" if more else "")


def _details(error: RedriveError) -> Iterator[Message]:
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    match error:
        case InvalidRequest():
            yield BadRequest(field_violations=_reported(error.violations))
        case PreconditionFailed():
            violation = PreconditionFailure.Violation(
                type=error.reason, subject=error.subject, description=_short(error.message)
            )
            yield PreconditionFailure(violations=[violation])
        case Unavailable() | Exhausted():
            delay = Duration()
            delay.FromTimedelta(error.retry_after)
            yield RetryInfo(retry_delay=delay)


def _reported(violations: Sequence[Violation]) -> list[BadRequest.FieldViolation]:
    reported: list[BadRequest.FieldViolation] = []
    size = 0
    for field, text in violations[:MAX_VIOLATIONS]:
        violation = BadRequest.FieldViolation(field=field, description=_short(text))
        size += violation.ByteSize()
        if size > MAX_VIOLATION_BYTES:
            break
        reported.append(violation)
    return reported


def _short(text: str) -> str:
    return text if len(text) <= MAX_DESCRIPTION_LENGTH else text[: MAX_DESCRIPTION_LENGTH - 1] + "…"
