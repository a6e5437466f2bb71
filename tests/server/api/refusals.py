"""Reads the error of a rejected call."""

from collections.abc import Awaitable
from typing import Any, NamedTuple, TypeVar

import grpc.aio
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

DETAILS = "grpc-status-details-bin"
M = TypeVar("M", bound=Message)


class Refusal(NamedTuple):
    """A status with its details; missing details are empty."""

    code: grpc.StatusCode
    message: str
    info: ErrorInfo
    violations: dict[str, str]
    precondition: PreconditionFailure
    retry: RetryInfo
    metadata: dict[str, Any]


async def refusal_of(call: Awaitable[object]) -> Refusal:
    """Return how a call is refused; fail if it succeeds."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal(caught.value)


def refusal(error: grpc.aio.AioRpcError) -> Refusal:
    """Return the contents of an error of grpc.aio."""
    metadata = dict(error.trailing_metadata() or ())
    details: Any = metadata.get(DETAILS, b"")
    status = Status.FromString(details)
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        info=_detail(status, ErrorInfo),
        violations={one.field: one.description for one in _detail(status, BadRequest).field_violations},
        precondition=_detail(status, PreconditionFailure),
        retry=_detail(status, RetryInfo),
        metadata=metadata,
    )


def _detail(status: Status, kind: type[M]) -> M:
    found = kind()
    for packed in status.details:
        packed.Unpack(found)
    return found
