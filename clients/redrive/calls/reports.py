"""Calls of ReportService: reports and exports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import grpc

from redrive.calls.listing import PAGE_SIZE, Listing, listing_of
from redrive.connection import Connection
from redrive.errors import DeadlineExceeded
from redrive.rpc_errors import error_from_rpc
from redrive.times import to_timestamp
from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    ExportDeliveriesResponse,
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
    MessageFailures,
    MessageReport,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)
from redrive.v1.report_service_pb2_grpc import ReportServiceStub

if TYPE_CHECKING:  # defined in the .pyi files of the stubs only
    from redrive.v1.report_service_pb2_grpc import ReportServiceAsyncStub


class ReportCalls:
    """The methods of Client for ReportService. All raise RedriveError."""

    _connection: Connection

    @cached_property
    def _reports(self) -> ReportServiceAsyncStub:
        return ReportServiceStub(self._connection.channel)

    def summarize_failures(
        self, *, message_ids: Iterable[str] = (), page_id: str = "", page_size: int = PAGE_SIZE
    ) -> Listing[SummarizeFailuresResponse, MessageFailures]:
        """List messages with failed or unconfirmed recipients, newest first, with counts by error type."""
        request = SummarizeFailuresRequest(message_ids=message_ids, page_id=page_id, page_size=page_size)
        return listing_of(self._connection, self._reports.SummarizeFailures, request, lambda page: page.messages)

    def get_delivery_report(
        self,
        *,
        message_id: str = "",
        page_id: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Listing[GetDeliveryReportResponse, MessageReport]:
        """Report the attempts of a message or of a page; `page()` has the report, the items are its messages."""
        request = GetDeliveryReportRequest(
            start_time=to_timestamp(start_time), end_time=to_timestamp(end_time), page_size=page_size
        )
        if message_id:
            request.message_id = message_id
        if page_id:
            request.page_id = page_id
        return listing_of(self._connection, self._reports.GetDeliveryReport, request, lambda page: page.messages)

    def export_deliveries(self, request: ExportDeliveriesRequest) -> AsyncGenerator[bytes, None]:
        """Yield a file of attempts or recipients in parts; it is complete if no error was raised."""
        return read_parts(
            lambda: self._reports.ExportDeliveries(request, metadata=self._connection.metadata),
            max_silence=self._connection.timeout,
        )


ExportStream: TypeAlias = grpc.aio.UnaryStreamCall[ExportDeliveriesRequest, ExportDeliveriesResponse]


async def read_parts(open_stream: Callable[[], ExportStream], *, max_silence: float) -> AsyncGenerator[bytes, None]:
    """Yield the parts of an export in order; each must arrive within `max_silence` seconds. Raises RedriveError.

    It is not repeated after an error: a second export may differ from what was already read.
    """
    stream = open_stream()
    try:
        while True:
            async with asyncio.timeout(max_silence):
                response = await stream.read()
            if not isinstance(response, ExportDeliveriesResponse):
                return
            yield response.data
    except grpc.aio.AioRpcError as failure:
        raise error_from_rpc(failure) from failure
    except TimeoutError as silence:
        words = f"The server sent nothing for {max_silence:g} s."
        raise DeadlineExceeded(words, code=grpc.StatusCode.DEADLINE_EXCEEDED) from silence
    finally:
        stream.cancel()
