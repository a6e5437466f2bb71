"""Mapping of batches, attempts and failed recipients to responses."""

from collections.abc import Sequence
from datetime import datetime

from domain.delivery import DeliveryStatus
from projections.delivery_rows import DeliveryRow
from redrive.v1.batch_pb2 import Batch
from redrive.v1.delivery_pb2 import Delivery, FailedRecipient
from redrive.v1.delivery_service_pb2 import (
    FailureStats,
    ListBatchesResponse,
    ListDeliveriesResponse,
    ListFailedResponse,
)
from redrive.v1.error_pb2 import DeliveryError
from redrive.v1.message_pb2 import Counts
from server.api.mapping.enums import BATCH_STATUSES, DELIVERY_STATUSES, ERROR_TYPES
from server.api.mapping.messages import error_type_counts
from server.api.mapping.times import timestamp
from server.crypto.keyed_ids import KeyedIds
from server.queries.attempts import AttemptList
from server.queries.failures import Failure, FailureList
from server.queries.lists import LeasedBatch


def list_batches_response(batches: Sequence[LeasedBatch], next_page_token: str) -> ListBatchesResponse:
    """Return one page of batches."""
    return ListBatchesResponse(batches=map(_batch, batches), next_page_token=next_page_token)


def _batch(batch: LeasedBatch) -> Batch:
    row = batch.row
    return Batch(
        message_id=row.message_id,
        number=row.number,
        round=row.round,
        status=BATCH_STATUSES.number(row.status),
        worker=row.worker,
        lease_expire_time=timestamp(batch.lease_expire_time),
        counts=Counts(
            total=row.total,
            pending=row.pending,
            sending=row.sending,
            sent=row.sent,
            failed=row.failed,
            unconfirmed=row.unconfirmed,
            cancelled=row.cancelled,
        ),
        create_time=timestamp(row.create_time),
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
    )


def list_deliveries_response(
    found: AttemptList,
    page: Sequence[DeliveryRow],
    next_page_token: str,
    next_retry_time: datetime | None,
    ids: KeyedIds,
) -> ListDeliveriesResponse:
    """Return one page of attempts.

    `next_retry_time` is the time of the next automatic round, which resends the retryable ones; None without one.
    """

    def delivery(row: DeliveryRow) -> Delivery:
        is_retryable = (row.recipient_id, row.attempt_number) in found.retryable
        return _delivery(row, next_retry_time if is_retryable else None, ids)

    return ListDeliveriesResponse(deliveries=map(delivery, page), next_page_token=next_page_token)


def _delivery(row: DeliveryRow, next_retry_time: datetime | None, ids: KeyedIds) -> Delivery:
    return Delivery(
        id=ids.delivery(row.message_id, row.batch_number, row.position),
        message_id=row.message_id,
        batch_number=row.batch_number,
        recipient_id=row.recipient_id,
        recipient_name=row.recipient_name,
        status=DELIVERY_STATUSES.number(row.status),
        attempt_number=row.attempt_number,
        provider_message_id=row.provider_message_id,
        error=_error(row),
        create_time=timestamp(row.create_time),
        sent_time=timestamp(row.sent_time),
        failed_time=timestamp(row.failed_time),
        update_time=timestamp(max(row.update_time, row.delivered_time or 0, row.read_time or 0)),
        delivered_time=timestamp(row.delivered_time),
        read_time=timestamp(row.read_time),
        next_retry_time=timestamp(next_retry_time),
    )


def _error(row: DeliveryRow) -> DeliveryError | None:
    if row.error_type is None:
        return None
    return DeliveryError(
        code=row.error_code,
        subcode=row.error_subcode,
        message=row.error_message,
        type=ERROR_TYPES.number(row.error_type),
    )


def list_failed_response(
    found: FailureList, page: Sequence[Failure], next_page_token: str, next_retry_time: datetime | None, sequence: int
) -> ListFailedResponse:
    """Return one page of failed recipients, at a sequence of the message.

    `next_retry_time` is the time of the next automatic round, which resends the retryable ones; None without one.
    """
    message = found.message
    return ListFailedResponse(
        message_id=message.message_id,
        failed_recipients=[_failed_recipient(failure, next_retry_time) for failure in page],
        retryable_count=found.retryable_count,
        error_type_counts=error_type_counts(found.error_types),
        stats=FailureStats(
            sent=message.counts[DeliveryStatus.SENT],
            failed=message.counts[DeliveryStatus.FAILED],
            total=message.total,
            unconfirmed=message.counts[DeliveryStatus.UNCONFIRMED],
        ),
        max_retry_attempts=message.retry_policy.max_retry_attempts,
        next_page_token=next_page_token,
        sequence=sequence,
    )


def _failed_recipient(failure: Failure, next_retry_time: datetime | None) -> FailedRecipient:
    row, state = failure.row, failure.row.retry_state
    return FailedRecipient(
        recipient_id=row.recipient_id,
        recipient_name=row.recipient_name,
        last_error_code=row.error_code,
        last_error_subcode=row.error_subcode,
        last_error_message=row.error_message,
        last_error_type=ERROR_TYPES.number(state.error_type or "UNSPECIFIED"),
        attempt_count=row.attempts,
        retryable=failure.retryable,
        unconfirmed=state.maybe_sent,
        last_attempt_time=timestamp(row.last_attempt_time),
        next_retry_time=timestamp(next_retry_time) if failure.retryable and failure.within_limit else None,
    )
