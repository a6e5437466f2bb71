"""Reports: requests in, answers out."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from projections.failures import ErrorTypeRow
from redrive.v1.error_pb2 import DeliveryError
from redrive.v1.report_service_pb2 import (
    ErrorTypeFailures,
    MessageFailures,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)
from server.api.queries import FailureSummary, SummaryFilter
from server.api.rules.report_rules import SummarizeFailuresRules
from server.api.translation.enum_words import ERROR_TYPES
from server.api.translation.times import timestamp


def summary_filter(request: SummarizeFailuresRequest, owner: str) -> SummaryFilter:
    """Which messages to sum up; raises InvalidRequest."""
    SummarizeFailuresRules.check(request)
    message_ids = tuple(dict.fromkeys(request.message_ids))
    return SummaryFilter(owner=owner, message_ids=message_ids, page_id=request.page_id)


def failure_summary(
    summaries: Sequence[FailureSummary], next_page_token: str, next_retries: Mapping[str, datetime]
) -> SummarizeFailuresResponse:
    """One page of messages with failures."""
    shown = [_message(summary, next_retries.get(summary.message.message_id)) for summary in summaries]
    return SummarizeFailuresResponse(messages=shown, next_page_token=next_page_token)


def _message(summary: FailureSummary, next_retry_time: datetime | None) -> MessageFailures:
    return MessageFailures(
        message_id=summary.message.message_id,
        title=summary.message.title,
        error_types=map(_error_type, summary.error_types),
        next_retry_time=timestamp(next_retry_time),
    )


def _error_type(row: ErrorTypeRow) -> ErrorTypeFailures:
    kind = ERROR_TYPES.number(row.error_type)
    sample = DeliveryError(code=row.error_code, subcode=row.error_subcode, message=row.error_message, type=kind)
    return ErrorTypeFailures(
        error_type=kind,
        count=row.recipients,
        first_time=timestamp(row.first_time),
        last_time=timestamp(row.last_time),
        sample_error=sample,
    )
