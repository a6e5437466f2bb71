"""ReportService, as gRPC calls it: translate, call, translate."""

# ruff: noqa: N802 - the contract names the rpcs

from collections.abc import AsyncIterator
from contextlib import aclosing

from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    ExportDeliveriesResponse,
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)
from redrive.v1.report_service_pb2_grpc import ReportServiceServicer as ReportServiceBase
from server.api.caller import Context, sees
from server.api.mapping import delivery_reports, exports, page_tokens, reports
from server.crypto.labels import Labels
from server.eventstore.commit import EventLog
from server.queries.export import export
from server.queries.lists import failures_of_messages
from server.queries.recipient_names import Names
from server.queries.reports import delivery_report
from server.queries.rounds import NextRounds


class ReportServicer(ReportServiceBase):
    """Raises domain errors: the interceptor makes statuses of them."""

    def __init__(self, log: EventLog, next_rounds: NextRounds, names: Names, labels: Labels) -> None:
        self._log = log
        self._next_rounds = next_rounds
        self._names = names
        self._labels = labels

    async def SummarizeFailures(self, request: SummarizeFailuresRequest, context: Context) -> SummarizeFailuresResponse:
        wanted = reports.summary_filter(request, sees(context))
        page = page_tokens.SUMMARIES.page(request, wanted)
        found = await self._log.read(failures_of_messages(wanted, before=page.after, limit=page.limit))
        next_retries = await self._next_rounds.of([summary.message for summary in found])
        return reports.failure_summary(*page.cut(found), next_retries, self._labels)

    async def GetDeliveryReport(self, request: GetDeliveryReportRequest, context: Context) -> GetDeliveryReportResponse:
        wanted = delivery_reports.report_filter(request, sees(context))
        page = page_tokens.REPORTED_MESSAGES.page(request, wanted)
        report = await self._log.read(delivery_report(wanted, before=page.after, limit=page.limit))
        return delivery_reports.delivery_report(report, *page.cut(report.messages), self._labels)

    async def ExportDeliveries(
        self, request: ExportDeliveriesRequest, context: Context
    ) -> AsyncIterator[ExportDeliveriesResponse]:
        wanted = exports.export(request, sees(context))
        async with aclosing(export(self._log, self._names, *wanted)) as parts:
            async for data in parts:
                yield ExportDeliveriesResponse(data=data)
