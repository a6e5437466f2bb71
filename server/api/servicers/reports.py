"""The servicer of ReportService: map the request, call a service, map the result."""

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
from server.api.caller import Context, visible_owner
from server.api.mapping import delivery_reports, exports, page_tokens, reports
from server.api.services import Services
from server.queries.export import export
from server.queries.lists import summarize_failures
from server.queries.reports import delivery_report
from server.queries.rounds import NextRoundTimes


class ReportServicer(ReportServiceBase):
    """Raises domain errors, which the error interceptor maps to statuses."""

    def __init__(self, services: Services, next_rounds: NextRoundTimes) -> None:
        self._log = services.log
        self._names = services.names
        self._labels = services.labels
        self._next_rounds = next_rounds

    async def SummarizeFailures(self, request: SummarizeFailuresRequest, context: Context) -> SummarizeFailuresResponse:
        wanted = reports.summary_filter(request, visible_owner(context))
        page = page_tokens.SUMMARIES.page(request, wanted)
        found = await self._log.read(summarize_failures(wanted, before=page.after, limit=page.limit))
        next_retries = await self._next_rounds.of([summary.message for summary in found])
        return reports.summarize_failures_response(*page.cut(found), next_retries, self._labels)

    async def GetDeliveryReport(self, request: GetDeliveryReportRequest, context: Context) -> GetDeliveryReportResponse:
        wanted = delivery_reports.report_filter(request, visible_owner(context))
        page = page_tokens.REPORTED_MESSAGES.page(request, wanted)
        report = await self._log.read(delivery_report(wanted, before=page.after, limit=page.limit))
        return delivery_reports.delivery_report_response(report, *page.cut(report.messages), self._labels)

    async def ExportDeliveries(
        self, request: ExportDeliveriesRequest, context: Context
    ) -> AsyncIterator[ExportDeliveriesResponse]:
        wanted = exports.export_request(request, visible_owner(context))
        async with aclosing(export(self._log, self._names, *wanted)) as parts:
            async for data in parts:
                yield ExportDeliveriesResponse(data=data)
