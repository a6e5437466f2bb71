"""Translation of a failed rpc, with its google.rpc details, into an exception of `redrive.errors`."""

from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from redrive.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    PreconditionViolation,
    RedriveError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)

_Detail = TypeVar("_Detail", bound=Message)

_PLAIN = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def error_from_rpc(call: grpc.aio.AioRpcError) -> RedriveError:
    """Return the exception for a failed call."""
    code, message, status = call.code(), call.details() or call.code().name, _status(call)
    reason = _detail(status, ErrorInfo).reason
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.OUT_OF_RANGE:
            return InvalidRequest(message, code=code, reason=reason, violations=_fields(status))
        case grpc.StatusCode.FAILED_PRECONDITION:
            return FailedPrecondition(message, code=code, reason=reason, violations=_preconditions(status))
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return ResourceExhausted(message, code=code, reason=reason, retry_after=_retry_after(status))
        case grpc.StatusCode.UNAVAILABLE:
            return Unavailable(message, code=code, reason=reason, retry_after=_retry_after(status))
    return _PLAIN.get(code, RedriveError)(message, code=code, reason=reason)


def _status(call: grpc.aio.AioRpcError) -> Status:
    """Return the status details of a call; an empty Status if there are none, or if they cannot be decoded."""
    try:
        return rpc_status.from_call(call) or Status()
    except (ValueError, DecodeError):
        return Status()


def _detail(status: Status, kind: type[_Detail]) -> _Detail:
    """Return the detail of this type; an empty one if the status holds none."""
    detail = kind()
    any(packed.Unpack(detail) for packed in status.details)
    return detail


def _fields(status: Status) -> list[FieldViolation]:
    found = _detail(status, BadRequest).field_violations
    return [FieldViolation(violation.field, violation.description) for violation in found]


def _preconditions(status: Status) -> list[PreconditionViolation]:
    found = _detail(status, PreconditionFailure).violations
    return [PreconditionViolation(violation.type, violation.subject, violation.description) for violation in found]


def _retry_after(status: Status) -> float | None:
    info = _detail(status, RetryInfo)
    return info.retry_delay.ToTimedelta().total_seconds() if info.HasField("retry_delay") else None
