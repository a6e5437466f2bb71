"""Mapping of SummarizeFailures."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from projections.failures import ErrorTypeRow
from redrive.v1.report_service_pb2 import (
    ErrorTypeFailures,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)
from server.api.mapping.enums import ERROR_TYPES
from server.api.mapping.times import timestamp, write_time
from server.api.validation.reports import SummarizeFailuresRules
from server.crypto.labels import Labels
from server.queries.lists import FailureSummary, SummaryFilter


def summary_filter(request: SummarizeFailuresRequest, owner: str) -> SummaryFilter:
    """Return the filter of a request; raises InvalidRequest."""
    SummarizeFailuresRules.check(request)
    message_ids = tuple(dict.fromkeys(request.message_ids))
    return SummaryFilter(owner=owner, message_ids=message_ids, page_id=request.page_id)


def summarize_failures_response(
    summaries: Sequence[FailureSummary], next_page_token: str, next_retries: Mapping[str, datetime], labels: Labels
) -> SummarizeFailuresResponse:
    """Return one page of messages with failures."""
    response = SummarizeFailuresResponse(next_page_token=next_page_token)
    for summary in summaries:
        message = summary.message
        next_retry = timestamp(next_retries.get(message.message_id))
        title = labels.titles.open(message.title, message.message_id)
        failures = response.messages.add(message_id=message.message_id, title=title, next_retry_time=next_retry)
        for row in summary.error_types:
            _write(failures.error_types.add(), row)
    return response


def _write(target: ErrorTypeFailures, row: ErrorTypeRow) -> None:
    """Write a row into the response; copies of the thousands of rows of a page would take most of the time."""
    kind = ERROR_TYPES.number(row.error_type)
    target.error_type, target.count = kind, row.recipients
    write_time(target.first_time, row.first_time)
    write_time(target.last_time, row.last_time)
    sample = target.sample_error
    sample.code, sample.subcode, sample.message, sample.type = (
        row.error_code,
        row.error_subcode,
        row.error_message,
        kind,
    )
