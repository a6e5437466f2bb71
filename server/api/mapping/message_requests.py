"""Mapping of requests about existing messages; every function raises InvalidRequest for an invalid request."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from domain.commands import CancelMessage, PauseMessage, ResumeMessage
from domain.fault import ErrorType
from domain.owner import matches_owner
from projections.delivery_rows import DeliveryFilter
from projections.message_rows import MessageFilter
from redrive.v1 import error_pb2
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
    ListMessagesRequest,
    PauseMessageRequest,
    ResumeMessageRequest,
    WatchProgressRequest,
)
from redrive.v1.retry_service_pb2 import ProcessBatchesRequest
from server.api.mapping.enums import BATCH_STATUSES, DELIVERY_STATUSES, ERROR_TYPES, MESSAGE_STATUSES
from server.api.mapping.times import read_time
from server.api.validation import deliveries as rules
from server.auth.caller import Scope
from server.auth.errors import ScopeMissing
from server.queries.failures import FailureFilter
from server.queries.lists import BatchFilter
from server.queries.message_events import EventFilter


class MessageAt(msgspec.Struct, frozen=True, kw_only=True):
    """A message of an owner, in its present state or in its state at a time."""

    owner: str
    message_id: str
    time: datetime | None = None


def message_at(request: GetMessageRequest, owner: str) -> MessageAt:
    """Return the message of a request, and the time of the wanted state."""
    rules.GetMessageRules.check(request)
    return MessageAt(owner=owner, message_id=request.message_id, time=_as_of(request))


def failures_at(request: ListFailedRequest, wanted: FailureFilter) -> MessageAt:
    """Return the message of a valid request, and the time of the wanted state."""
    return MessageAt(owner=wanted.owner, message_id=wanted.message_id, time=_as_of(request))


def _as_of(request: GetMessageRequest | ListFailedRequest) -> datetime | None:
    return read_time(request.as_of_time) if request.HasField("as_of_time") else None


def event_filter(request: ListEventsRequest, owner: str) -> EventFilter:
    """Return the filter of a request."""
    rules.ListEventsRules.check(request)
    return EventFilter(
        owner=owner,
        message_id=request.message_id,
        batch_number=request.batch_number,
        without_batches=request.without_batches,
    )


def message_id(request: WatchProgressRequest | ProcessBatchesRequest) -> str:
    """Return the only field of a request."""
    rules.OneMessageRules.check(request)
    return request.message_id


def message_filter(request: ListMessagesRequest, sees: str) -> MessageFilter:
    """Return the filter of a request; raises ScopeMissing if the caller may not see the owner's messages."""
    rules.ListMessagesRules.check(request)
    if request.owner and not matches_owner(request.owner, sees):
        raise ScopeMissing(Scope.ADMIN)
    return MessageFilter(
        owner=request.owner or sees,
        page_id=request.page_id,
        statuses=MESSAGE_STATUSES.names(request.statuses),
        with_failures=request.with_failures,
    )


def batch_filter(request: ListBatchesRequest, owner: str) -> BatchFilter:
    """Return the filter of a request."""
    rules.ListBatchesRules.check(request)
    statuses = BATCH_STATUSES.names(request.statuses)
    return BatchFilter(owner=owner, message_id=request.message_id, statuses=statuses)


def delivery_filter(request: ListDeliveriesRequest) -> DeliveryFilter:
    """Return the filter of a request."""
    rules.ListDeliveriesRules.check(request)
    return DeliveryFilter(
        message_id=request.message_id,
        recipient_id=request.recipient_id,
        statuses=DELIVERY_STATUSES.names(request.statuses),
        error_types=ERROR_TYPES.names(request.error_types),
    )


def failure_filter(request: ListFailedRequest, owner: str) -> FailureFilter:
    """Return the filter of a request."""
    rules.ListFailedRules.check(request)
    return FailureFilter(
        owner=owner,
        message_id=request.message_id,
        error_types=error_types_of(request.error_types),
        retryable_only=request.retryable_only,
    )


def pause_command(request: PauseMessageRequest, owner: str, sees: str) -> PauseMessage:
    rules.ChangeMessageRules.check(request)
    return PauseMessage(owner=owner, sees=sees, request_id=request.request_id, message_id=request.message_id)


def resume_command(request: ResumeMessageRequest, owner: str, sees: str) -> ResumeMessage:
    rules.ChangeMessageRules.check(request)
    return ResumeMessage(owner=owner, sees=sees, request_id=request.request_id, message_id=request.message_id)


def cancel_command(request: CancelMessageRequest, owner: str, sees: str) -> CancelMessage:
    rules.ChangeMessageRules.check(request)
    return CancelMessage(owner=owner, sees=sees, request_id=request.request_id, message_id=request.message_id)


def error_types_of(given: Sequence[error_pb2.ErrorType.ValueType]) -> tuple[ErrorType, ...]:
    """Return the error types of a valid request."""
    return tuple(ErrorType(name) for name in ERROR_TYPES.names(given))
