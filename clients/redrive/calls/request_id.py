"""The request_id, which makes a write safe to repeat."""

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

WriteRequest = TypeVar(
    "WriteRequest",
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


def with_request_id(request: WriteRequest) -> WriteRequest:
    """Return the request if it has an id, else a copy with a new one. All attempts of a call carry the same id."""
    if request.request_id:
        return request
    copy = type(request)()
    copy.CopyFrom(request)
    copy.request_id = str(uuid.uuid4())
    return copy
