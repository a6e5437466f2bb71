"""Requests in: about messages that were sent. What breaks a rule raises InvalidRequest, and goes no further."""

from collections.abc import Sequence

from domain.commands import CancelMessage, ResendMessage
from domain.fault import ErrorType
from projections.deliveries import DeliveryFilter
from projections.message_rows import MessageFilter
from redrive.v1 import error_pb2
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListFailedRequest,
    ListMessagesRequest,
    ResendRequest,
    WatchProgressRequest,
)
from redrive.v1.retry_service_pb2 import ProcessBatchesRequest
from server.api.queries import BatchFilter
from server.api.rules import delivery_rules as rules
from server.api.translation.enum_words import BATCH_STATUSES, DELIVERY_STATUSES, ERROR_TYPES, MESSAGE_STATUSES
from server.commands.failure_list import FailureFilter


def message_id(request: GetMessageRequest | WatchProgressRequest | ProcessBatchesRequest) -> str:
    """The message that a request names, and that is all it does."""
    rules.OneMessageRules.check(request)
    return request.message_id


def message_filter(request: ListMessagesRequest, owner: str) -> MessageFilter:
    """Which messages to list."""
    rules.ListMessagesRules.check(request)
    return MessageFilter(
        owner=owner,
        page_id=request.page_id,
        statuses=MESSAGE_STATUSES.words(request.statuses),
        with_failures=request.with_failures,
    )


def batch_filter(request: ListBatchesRequest, owner: str) -> BatchFilter:
    """Which batches to list."""
    rules.ListBatchesRules.check(request)
    statuses = BATCH_STATUSES.words(request.statuses)
    return BatchFilter(owner=owner, message_id=request.message_id, statuses=statuses)


def delivery_filter(request: ListDeliveriesRequest) -> DeliveryFilter:
    """Which attempts to list."""
    rules.ListDeliveriesRules.check(request)
    return DeliveryFilter(
        message_id=request.message_id,
        recipient_id=request.recipient_id,
        statuses=DELIVERY_STATUSES.words(request.statuses),
        error_types=ERROR_TYPES.words(request.error_types),
    )


def failure_filter(request: ListFailedRequest, owner: str) -> FailureFilter:
    """Which failures to list."""
    rules.ListFailedRules.check(request)
    return FailureFilter(
        owner=owner,
        message_id=request.message_id,
        error_types=_error_types(request.error_types),
        retryable_only=request.retryable_only,
    )


def resend(request: ResendRequest, owner: str) -> ResendMessage:
    """Whom to resend to."""
    rules.ResendRules.check(request)
    return ResendMessage(
        owner=owner,
        request_id=request.request_id,
        message_id=request.message_id,
        recipient_ids=tuple(request.recipient_ids),
        error_types=_error_types(request.error_types),
        include_unconfirmed=request.include_unconfirmed,
        validate_only=request.validate_only,
    )


def cancel(request: CancelMessageRequest, owner: str) -> CancelMessage:
    """What to cancel."""
    rules.CancelMessageRules.check(request)
    return CancelMessage(owner=owner, request_id=request.request_id, message_id=request.message_id)


def _error_types(given: Sequence[error_pb2.ErrorType.ValueType]) -> tuple[ErrorType, ...]:
    return tuple(ErrorType(word) for word in ERROR_TYPES.words(given))
