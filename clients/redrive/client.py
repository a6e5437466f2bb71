"""The typed client: one method for each rpc of `redrive.v1`, with the contract's own messages in and out.

Reads take a message's id and their filters; writes that carry much take their request. All raise RedriveError.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, MutableSequence
from datetime import datetime
from types import TracebackType
from typing import Self

from grpc.aio import UnaryUnaryMultiCallable

from redrive.connection import Connection
from redrive.export import parts_of
from redrive.listing import PAGE_SIZE, Item, ListAnswer, Listing, ListRequest, at_page
from redrive.request_id import with_request_id
from redrive.stream_parts import AnyRecipients, can_be_read_again, write_parts
from redrive.times import timestamp
from redrive.v1.batch_pb2 import Batch, BatchStatus
from redrive.v1.delivery_pb2 import Delivery, DeliveryStatus, FailedRecipient
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListBatchesRequest,
    ListBatchesResponse,
    ListDeliveriesRequest,
    ListDeliveriesResponse,
    ListEventsRequest,
    ListEventsResponse,
    ListFailedRequest,
    ListFailedResponse,
    ListMessagesRequest,
    ListMessagesResponse,
    LogEvent,
    PauseMessageRequest,
    ResendRequest,
    ResendResponse,
    ResumeMessageRequest,
    SendRequest,
    SendResponse,
    SendStreamResponse,
    WatchProgressRequest,
    WatchProgressResponse,
)
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import Message, MessageStatus
from redrive.v1.page_pb2 import Page
from redrive.v1.page_service_pb2 import (
    HoldPageRequest,
    ListPagesRequest,
    ListPagesResponse,
    PutPageRequest,
    PutPageResponse,
    ReleasePageRequest,
)
from redrive.v1.page_service_pb2_grpc import PageServiceStub
from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsRequest, RecordReceiptsResponse
from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceStub
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
from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleRequest,
    GetRetryScheduleResponse,
    ProcessBatchesRequest,
    ProcessBatchesResponse,
    RunScheduledRetriesRequest,
    RunScheduledRetriesResponse,
)
from redrive.v1.retry_service_pb2_grpc import RetryServiceStub
from redrive.watch import Watch

STREAM_TIMEOUT = 600.0  # seconds for a SendStream: its recipients may come as slowly as they are read
HISTORY_TIMEOUT = 300.0  # seconds for what was: a message of very many recipients is made anew from its log


class Client:
    """A connection to one Redrive server, made in a running event loop and closed by `close` or `async with`.

    `token` goes with every call; ValueError unless it is printable ASCII. `tls` trusts the usual certificate
    authorities, `root_certificates` (PEM) only these. `timeout` is in seconds and holds for one call with all its
    attempts; a watch may be silent for as long. Reads, and writes that carry a request_id, are attempted again when the
    server is unavailable; those that take a request_id draw one where the caller gave none.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        tls: bool = False,
        root_certificates: bytes | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._connection = Connection(
            target, token=token, tls=tls, root_certificates=root_certificates, timeout=timeout
        )
        self._deliveries = DeliveryServiceStub(self._connection.channel)
        self._retries = RetryServiceStub(self._connection.channel)
        self._receipts = ReceiptServiceStub(self._connection.channel)
        self._reports = ReportServiceStub(self._connection.channel)
        self._pages = PageServiceStub(self._connection.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends calls that are under way."""
        await self._connection.channel.close()

    async def send(self, request: SendRequest) -> SendResponse:
        """Sends a message to 1 to 10,000 recipients; answers once everything is durable."""
        return await self._connection.ask(self._deliveries.Send, with_request_id(request))

    async def send_stream(
        self,
        header: SendRequest,
        recipients: AnyRecipients,
        *,
        timeout: float = STREAM_TIMEOUT,  # noqa: ASYNC109 - the deadline of the rpc, which the server is told
    ) -> SendStreamResponse:
        """Sends a message to any number of recipients; the header is a SendRequest with none.

        Attempted again only where the recipients can be read again: a list, not a generator.
        """
        header = with_request_id(header)

        async def attempt(seconds: float) -> SendStreamResponse:
            call = self._deliveries.SendStream(timeout=seconds, metadata=self._connection.metadata)
            return await write_parts(call, header, recipients)

        return await self._connection.call(attempt, repeatable=can_be_read_again(recipients), seconds=timeout)

    async def get_message(self, message_id: str, *, as_of_time: datetime | None = None) -> Message:
        """One message with its counts, as it is, or as it was at a time (which takes longer)."""
        request = GetMessageRequest(message_id=message_id, as_of_time=timestamp(as_of_time))
        seconds = HISTORY_TIMEOUT if as_of_time else None
        return (await self._connection.ask(self._deliveries.GetMessage, request, seconds=seconds)).message

    def list_messages(
        self,
        *,
        page_id: str = "",
        statuses: Iterable[MessageStatus.ValueType] = (),
        with_failures: bool = False,
        page_size: int = PAGE_SIZE,
    ) -> Listing[ListMessagesResponse, Message]:
        """Messages, newest first."""
        request = ListMessagesRequest(
            page_id=page_id, statuses=statuses, with_failures=with_failures, page_size=page_size
        )
        return self._listing(self._deliveries.ListMessages, request, lambda answer: answer.messages)

    def list_batches(
        self, message_id: str, *, statuses: Iterable[BatchStatus.ValueType] = (), page_size: int = PAGE_SIZE
    ) -> Listing[ListBatchesResponse, Batch]:
        """A message's batches, by number."""
        request = ListBatchesRequest(message_id=message_id, statuses=statuses, page_size=page_size)
        return self._listing(self._deliveries.ListBatches, request, lambda answer: answer.batches)

    def list_deliveries(
        self,
        message_id: str,
        *,
        recipient_id: str = "",
        statuses: Iterable[DeliveryStatus.ValueType] = (),
        error_types: Iterable[ErrorType.ValueType] = (),
        page_size: int = PAGE_SIZE,
    ) -> Listing[ListDeliveriesResponse, Delivery]:
        """Every attempt of a message, by batch and place in it."""
        request = ListDeliveriesRequest(
            message_id=message_id,
            recipient_id=recipient_id,
            statuses=statuses,
            error_types=error_types,
            page_size=page_size,
        )
        return self._listing(self._deliveries.ListDeliveries, request, lambda answer: answer.deliveries)

    def list_failed(
        self,
        message_id: str,
        *,
        error_types: Iterable[ErrorType.ValueType] = (),
        retryable_only: bool = False,
        as_of_time: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Listing[ListFailedResponse, FailedRecipient]:
        """The recipients whose last attempt failed or is unconfirmed, now or at a time; `page()` has the counts."""
        request = ListFailedRequest(
            message_id=message_id,
            error_types=error_types,
            retryable_only=retryable_only,
            as_of_time=timestamp(as_of_time),
            page_size=page_size,
        )
        seconds = HISTORY_TIMEOUT if as_of_time else None
        return self._listing(
            self._deliveries.ListFailed, request, lambda answer: answer.failed_recipients, seconds=seconds
        )

    def list_events(
        self, message_id: str, *, batch_number: int = 0, page_size: int = PAGE_SIZE
    ) -> Listing[ListEventsResponse, LogEvent]:
        """What happened to a message and its batches, or to one of these, in the order in which it was recorded."""
        request = ListEventsRequest(message_id=message_id, batch_number=batch_number, page_size=page_size)
        return self._listing(self._deliveries.ListEvents, request, lambda answer: answer.events)

    async def resend(self, request: ResendRequest) -> ResendResponse:
        """Resends to those who failed, never to those who were sent to."""
        return await self._connection.ask(self._deliveries.Resend, with_request_id(request))

    async def pause_message(self, message_id: str, *, request_id: str = "") -> Message:
        """Holds a message back until it is resumed; what has left comes to its end."""
        request = with_request_id(PauseMessageRequest(message_id=message_id, request_id=request_id))
        return (await self._connection.ask(self._deliveries.PauseMessage, request)).message

    async def resume_message(self, message_id: str, *, request_id: str = "") -> Message:
        """Lets a paused message go on where it was."""
        request = with_request_id(ResumeMessageRequest(message_id=message_id, request_id=request_id))
        return (await self._connection.ask(self._deliveries.ResumeMessage, request)).message

    async def cancel_message(self, message_id: str, *, request_id: str = "") -> Message:
        """Stops a message for good: what has not left is cancelled, what has left is not recalled."""
        request = with_request_id(CancelMessageRequest(message_id=message_id, request_id=request_id))
        return (await self._connection.ask(self._deliveries.CancelMessage, request)).message

    def watch_progress(self, message_id: str) -> AsyncGenerator[WatchProgressResponse, None]:
        """A snapshot, then changes and heartbeats, never back in sequence; ends when the message is done.

        Goes on where it was after a lost connection or a restarted server.
        """
        request = WatchProgressRequest(message_id=message_id)
        watch = Watch(
            lambda: self._deliveries.WatchProgress(request, metadata=self._connection.metadata),
            patience=self._connection.timeout,
            backoff=self._connection.backoff,
        )
        return watch.answers()

    async def run_scheduled_retries(self) -> RunScheduledRetriesResponse:
        """Takes every eligible CRON message now, due or not."""
        request = RunScheduledRetriesRequest()
        return await self._connection.ask(self._retries.RunScheduledRetries, request, repeatable=False)

    async def process_batches(self, message_id: str) -> ProcessBatchesResponse:
        """Reclaims a message's stuck batches and starts what is pending."""
        request = ProcessBatchesRequest(message_id=message_id)
        return await self._connection.ask(self._retries.ProcessBatches, request, repeatable=False)

    async def get_retry_schedule(self) -> GetRetryScheduleResponse:
        """The retry timer's interval, its last run and its next."""
        return await self._connection.ask(self._retries.GetRetrySchedule, GetRetryScheduleRequest())

    def summarize_failures(
        self, *, message_ids: Iterable[str] = (), page_id: str = "", page_size: int = PAGE_SIZE
    ) -> Listing[SummarizeFailuresResponse, MessageFailures]:
        """Messages with failed or unconfirmed recipients, newest first, and these by the type of their last error."""
        request = SummarizeFailuresRequest(message_ids=message_ids, page_id=page_id, page_size=page_size)
        return self._listing(self._reports.SummarizeFailures, request, lambda answer: answer.messages)

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
        return self._listing(self._reports.GetDeliveryReport, request, lambda answer: answer.messages)

    def export_deliveries(self, request: ExportDeliveriesRequest) -> AsyncGenerator[bytes, None]:
        """A file of attempts or recipients, part by part; it is whole when no error was raised."""
        return parts_of(
            lambda: self._reports.ExportDeliveries(request, metadata=self._connection.metadata),
            patience=self._connection.timeout,
        )

    async def record_receipts(self, receipts: Iterable[Receipt]) -> RecordReceiptsResponse:
        """Takes in what the platform says of deliveries, 1 to 1,000 receipts; safe to repeat."""
        request = RecordReceiptsRequest(receipts=receipts)
        return await self._connection.ask(self._receipts.RecordReceipts, request)

    async def put_page(self, request: PutPageRequest) -> PutPageResponse:
        """Registers a page, or replaces its token and settings."""
        return await self._connection.ask(self._pages.PutPage, with_request_id(request))

    async def hold_page(self, page_id: str, reason: str = "") -> Page:
        """Lets nothing more of a page leave; what is pending stays pending."""
        request = HoldPageRequest(page_id=page_id, reason=reason)
        return (await self._connection.ask(self._pages.HoldPage, with_request_id(request))).page

    async def release_page(self, page_id: str) -> Page:
        """Lets a page on hold go on."""
        request = ReleasePageRequest(page_id=page_id)
        return (await self._connection.ask(self._pages.ReleasePage, with_request_id(request))).page

    def list_pages(self, *, page_size: int = PAGE_SIZE) -> Listing[ListPagesResponse, Page]:
        """Pages by id."""
        request = ListPagesRequest(page_size=page_size)
        return self._listing(self._pages.ListPages, request, lambda answer: answer.pages)

    def _listing(
        self,
        method: UnaryUnaryMultiCallable[ListRequest, ListAnswer],
        request: ListRequest,
        items: Callable[[ListAnswer], MutableSequence[Item]],
        *,
        seconds: float | None = None,
    ) -> Listing[ListAnswer, Item]:
        async def ask(page_token: str) -> ListAnswer:
            return await self._connection.ask(method, at_page(request, page_token), seconds=seconds)

        return Listing(ask, items)
