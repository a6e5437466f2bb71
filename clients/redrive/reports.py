"""The client's part for reports and exports."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from redrive.connection import Connection
from redrive.export import parts_of
from redrive.listing import PAGE_SIZE, Listing, listing_of
from redrive.times import timestamp
from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
    MessageFailures,
    MessageReport,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)
from redrive.v1.report_service_pb2_grpc import ReportServiceStub

if TYPE_CHECKING:  # these stand in the stubs' .pyi files only
    from redrive.v1.report_service_pb2_grpc import ReportServiceAsyncStub


class ReportCalls:
    """What Client has of ReportService; all raise RedriveError."""

    _connection: Connection

    @cached_property
    def _reports(self) -> ReportServiceAsyncStub:
        return ReportServiceStub(self._connection.channel)

    def summarize_failures(
        self, *, message_ids: Iterable[str] = (), page_id: str = "", page_size: int = PAGE_SIZE
    ) -> Listing[SummarizeFailuresResponse, MessageFailures]:
        """Messages with failed or unconfirmed recipients, newest first, and these by the type of their last error."""
        request = SummarizeFailuresRequest(message_ids=message_ids, page_id=page_id, page_size=page_size)
        return listing_of(self._connection, self._reports.SummarizeFailures, request, lambda answer: answer.messages)

    def get_delivery_report(
        self,
        *,
        message_id: str = "",
        page_id: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Listing[GetDeliveryReportResponse, MessageReport]:
        """How the attempts of a message or of a page went; `page()` has the report, the items are its messages."""
        request = GetDeliveryReportRequest(
            start_time=timestamp(start_time), end_time=timestamp(end_time), page_size=page_size
        )
        if message_id:
            request.message_id = message_id
        if page_id:
            request.page_id = page_id
        return listing_of(self._connection, self._reports.GetDeliveryReport, request, lambda answer: answer.messages)

    def export_deliveries(self, request: ExportDeliveriesRequest) -> AsyncGenerator[bytes, None]:
        """A file of attempts or recipients, part by part; it is whole when no error was raised."""
        return parts_of(
            lambda: self._reports.ExportDeliveries(request, metadata=self._connection.metadata),
            patience=self._connection.timeout,
        )
