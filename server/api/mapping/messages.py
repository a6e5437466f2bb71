"""Mapping of messages and their progress to responses."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType
from projections.message_rows import MessageRow
from redrive.v1 import error_pb2
from redrive.v1.delivery_service_pb2 import (
    ListMessagesResponse,
    SendResponse,
    SendStreamResponse,
    WatchProgressResponse,
)
from redrive.v1.error_pb2 import ErrorTypeCount
from redrive.v1.message_pb2 import Counts, Message, Stop
from redrive.v1.progress_pb2 import Progress as ProgressAnswer
from server.api.mapping.enums import ERROR_TYPES, MESSAGE_STATUSES, ON_UNCONFIRMED, STOP_CAUSES
from server.api.mapping.pages import page_hold, page_pause
from server.api.mapping.retry_policies import policy_message
from server.api.mapping.times import duration, timestamp
from server.commands.send import SendAnswer
from server.crypto.labels import Labels
from server.progress.progress import Progress


def message(
    row: MessageRow, labels: Labels, next_retry_time: datetime | None = None, *, is_past: bool = False
) -> Message:
    """Return a message of the contract; a past state has no sequence, because no call could use it."""
    return Message(
        id=row.message_id,
        title=labels.titles.open(row.title, row.message_id),
        page_id=row.page_id,
        owner=row.owner,
        status=MESSAGE_STATUSES.number(row.status),
        retry_policy=policy_message(row.retry_policy),
        retry_count=row.retry_count,
        counts=_counts(row),
        batches_total=row.batches_total,
        batches_completed=row.batches_completed,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        end_time=timestamp(row.end_time),
        on_unconfirmed=ON_UNCONFIRMED.number(row.on_unconfirmed),
        schedule_time=timestamp(row.schedule_time),
        next_retry_time=timestamp(next_retry_time),
        page_hold=page_hold(row.page_hold, row.page_id, labels),
        page_pause=page_pause(row.page_pause),
        sequence=0 if is_past else row.sequence,
        stop=_stop(row),
        automatic_rounds_suspended=row.automatic_rounds_suspended,
    )


def _stop(row: MessageRow) -> Stop | None:
    """Return why the service stopped a message, if it did."""
    stop = row.stop
    if stop is None:
        return None
    return Stop(
        cause=STOP_CAUSES.number(stop.cause),
        error_type=ERROR_TYPES.number(stop.fault.type) if stop.fault else error_pb2.ERROR_TYPE_UNSPECIFIED,
        error_code=stop.fault.code if stop.fault else 0,
        error_subcode=stop.fault.subcode if stop.fault else 0,
        error_message=stop.fault.message if stop.fault else "",
        failed=stop.failed,
        attempts=stop.attempts,
        time=timestamp(row.stop_time),
    )


def _counts(row: MessageRow) -> Counts:
    return Counts(
        total=row.total,
        pending=row.counts[DeliveryStatus.PENDING],
        sending=row.counts[DeliveryStatus.SENDING],
        sent=row.counts[DeliveryStatus.SENT],
        failed=row.counts[DeliveryStatus.FAILED],
        unconfirmed=row.counts[DeliveryStatus.UNCONFIRMED],
        cancelled=row.counts[DeliveryStatus.CANCELLED],
    )


def list_messages_response(
    rows: Sequence[MessageRow], next_page_token: str, next_retries: Mapping[str, datetime], labels: Labels
) -> ListMessagesResponse:
    """Return one page of messages."""
    page = [message(row, labels, next_retries.get(row.message_id)) for row in rows]
    return ListMessagesResponse(messages=page, next_page_token=next_page_token)


def send_response(answer: SendAnswer, labels: Labels) -> SendResponse:
    return SendResponse(message=message(answer.message, labels), duplicates_dropped=answer.duplicates_dropped)


def send_stream_response(answer: SendAnswer, labels: Labels) -> SendStreamResponse:
    return SendStreamResponse(message=message(answer.message, labels), duplicates_dropped=answer.duplicates_dropped)


def watch_progress_response(
    latest: Progress, labels: Labels, next_retry_time: datetime | None
) -> WatchProgressResponse:
    """Return the progress of a message, and the time of its next automatic round."""
    row = latest.message
    return WatchProgressResponse(
        sequence=latest.sequence,
        time=timestamp(latest.time),
        progress=ProgressAnswer(
            message_id=row.message_id,
            status=MESSAGE_STATUSES.number(row.status),
            counts=_counts(row),
            batches_total=row.batches_total,
            batches_completed=row.batches_completed,
            messages_per_second=latest.messages_per_second,
            eta=duration(latest.eta),
            error_type_counts=error_type_counts(latest.error_types),
            round=row.round,
            page_hold=page_hold(row.page_hold, row.page_id, labels),
            page_pause=page_pause(row.page_pause),
            next_retry_time=timestamp(next_retry_time),
            stop=_stop(row),
            automatic_rounds_suspended=row.automatic_rounds_suspended,
        ),
    )


def error_type_counts(recipients: Mapping[ErrorType, int]) -> list[ErrorTypeCount]:
    """Return the numbers of recipients by the type of their last error."""
    return [ErrorTypeCount(error_type=ERROR_TYPES.number(kind), count=count) for kind, count in recipients.items()]
