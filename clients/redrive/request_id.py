"""The id that makes a repeated write safe."""

import uuid
from typing import TypeVar

from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    PauseMessageRequest,
    ResendRequest,
    ResumeMessageRequest,
    SendRequest,
)
from redrive.v1.maintenance_service_pb2 import CleanupDeliveriesRequest, ErasePersonRequest
from redrive.v1.page_service_pb2 import (
    HoldPageRequest,
    PutPageRequest,
    ReleasePageRequest,
    SharePageRequest,
    TransferPageRequest,
)

Write = TypeVar(
    "Write",
    SendRequest,
    ResendRequest,
    PauseMessageRequest,
    ResumeMessageRequest,
    CancelMessageRequest,
    PutPageRequest,
    HoldPageRequest,
    ReleasePageRequest,
    SharePageRequest,
    TransferPageRequest,
    CleanupDeliveriesRequest,
    ErasePersonRequest,
)


def with_request_id(request: Write) -> Write:
    """The request if it has an id, else a copy with a new one: all attempts of one call carry the same."""
    if request.request_id:
        return request
    named = type(request)()
    named.CopyFrom(request)
    named.request_id = str(uuid.uuid4())
    return named
