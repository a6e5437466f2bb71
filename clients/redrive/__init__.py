"""The client of Redrive, the bulk sender that remembers every attempt. `redrive.v1` holds its protobuf messages."""

from redrive.client import Client
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

__all__ = [
    "AlreadyExists",
    "Client",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "InvalidRequest",
    "NotFound",
    "PermissionDenied",
    "PreconditionViolation",
    "RedriveError",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
]
