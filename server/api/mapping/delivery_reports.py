"""Mapping of GetDeliveryReport."""

from collections.abc import Mapping, Sequence

from projections.delivery_reports import MAX_TIME, ErrorCountRow, OutcomeCounts, ReportFilter
from projections.sql import Micros, micros
from redrive.v1.error_pb2 import DeliveryError
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    FirstAttempts,
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
    HourReport,
)
from redrive.v1.report_service_pb2 import MessageReport as MessageAnswer
from server.api.mapping.enums import ERROR_TYPES
from server.api.mapping.times import read_time, timestamp
from server.api.validation.reports import GetDeliveryReportRules
from server.crypto.labels import Labels
from server.queries.reports import DeliveryReport, MessageReport


def report_filter(request: GetDeliveryReportRequest, owner: str) -> ReportFilter:
    """Return the filter of a request; raises InvalidRequest."""
    GetDeliveryReportRules.check(request)
    return ReportFilter(
        owner=owner,
        message_id=request.message_id,
        page_id=request.page_id,
        start=micros(read_time(request.start_time)) if request.HasField("start_time") else 0,
        end=micros(read_time(request.end_time)) if request.HasField("end_time") else MAX_TIME,
    )


def delivery_report_response(
    report: DeliveryReport, page: Sequence[MessageReport], next_page_token: str, labels: Labels
) -> GetDeliveryReportResponse:
    """Return a report with one page of its messages."""
    failures = sum(outcomes.failed + outcomes.unconfirmed for outcomes in report.attempts.values())
    return GetDeliveryReportResponse(
        first_attempts=_first_attempts(report.first_attempts),
        messages=(_message(one, labels) for one in page),
        errors=[_error(row, failures) for row in report.errors],
        attempts=_attempts(report.attempts),
        hours=_hours(report.hours),
        next_page_token=next_page_token,
        counted_from_time=timestamp(report.counted_since or None),
    )


def _first_attempts(outcomes: OutcomeCounts) -> FirstAttempts:
    rate = outcomes.sent / outcomes.total if outcomes.total else 0.0
    return FirstAttempts(attempted=outcomes.total, sent=outcomes.sent, success_rate=rate)


def _message(report: MessageReport, labels: Labels) -> MessageAnswer:
    return MessageAnswer(
        message_id=report.message.message_id,
        title=labels.titles.open(report.message.title, report.message.message_id),
        create_time=timestamp(report.message.create_time),
        first_attempts=_first_attempts(report.first_attempts),
    )


def _error(row: ErrorCountRow, failures: int) -> CommonError:
    error = DeliveryError(
        code=row.error_code,
        subcode=row.error_subcode,
        message=row.error_message,
        type=ERROR_TYPES.number(row.error_type),
    )
    return CommonError(error=error, count=row.deliveries, percentage=100.0 * row.deliveries / failures)


def _attempts(attempts: Mapping[int, OutcomeCounts]) -> list[AttemptReport]:
    return [
        AttemptReport(
            attempt_number=number,
            made=outcomes.total,
            sent=outcomes.sent,
            failed=outcomes.failed,
            unconfirmed=outcomes.unconfirmed,
        )
        for number, outcomes in attempts.items()
    ]


def _hours(hours: Mapping[Micros, OutcomeCounts]) -> list[HourReport]:
    return [
        HourReport(
            start_time=timestamp(hour), sent=outcomes.sent, failed=outcomes.failed, unconfirmed=outcomes.unconfirmed
        )
        for hour, outcomes in hours.items()
    ]
