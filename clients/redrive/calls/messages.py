"""Calls of DeliveryService, except resends: send, read, pause, resume, cancel and watch messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from redrive.calls.listing import PAGE_SIZE, Listing, listing_of
from redrive.calls.request_id import with_request_id
from redrive.calls.stream_parts import RecipientSource, is_rereadable, write_parts
from redrive.calls.watch import ProgressWatch
from redrive.connection import Connection
from redrive.times import to_timestamp
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

if TYPE_CHECKING:  # defined in the .pyi files of the stubs only
    from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub

STREAM_TIMEOUT = 600.0  # seconds for a SendStream: reading the recipients may be slow
HISTORY_TIMEOUT = 300.0  # seconds for a past state: the server replays the events of the message


class MessageCalls:
    """The methods of Client for DeliveryService, except resends. All raise RedriveError."""

    _connection: Connection

    @cached_property
    def _deliveries(self) -> DeliveryServiceAsyncStub:
        return DeliveryServiceStub(self._connection.channel)

    async def send(self, request: SendRequest) -> SendResponse:
        """Send a message to 1 to 10,000 recipients; return after the server stored everything."""
        return await self._connection.call(self._deliveries.Send, with_request_id(request))

    async def send_stream(
        self,
        header: SendRequest,
        recipients: RecipientSource,
        *,
        timeout: float = STREAM_TIMEOUT,  # noqa: ASYNC109 - the deadline of the rpc, which gRPC sends to the server
    ) -> SendStreamResponse:
        """Send a message to any number of recipients; the header is a SendRequest without recipients.

        The call is repeated only if the recipients can be iterated again: a list can, a generator cannot.
        """
        header = with_request_id(header)

        async def attempt(seconds: float) -> SendStreamResponse:
            call = self._deliveries.SendStream(timeout=seconds, metadata=self._connection.metadata)
            return await write_parts(call, header, recipients)

        return await self._connection.call_with_retries(attempt, repeatable=is_rereadable(recipients), seconds=timeout)

    async def get_message(self, message_id: str, *, as_of_time: datetime | None = None) -> Message:
        """Return a message with its counts, now or at a past time (which takes longer)."""
        request = GetMessageRequest(message_id=message_id, as_of_time=to_timestamp(as_of_time))
        seconds = HISTORY_TIMEOUT if as_of_time else None
        return (await self._connection.call(self._deliveries.GetMessage, request, seconds=seconds)).message

    def list_messages(
        self,
        *,
        page_id: str = "",
        statuses: Iterable[MessageStatus.ValueType] = (),
        with_failures: bool = False,
        owner: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Listing[ListMessagesResponse, Message]:
        """List messages, newest first. Only an admin may name an owner other than itself."""
        request = ListMessagesRequest(
            page_id=page_id, statuses=statuses, with_failures=with_failures, owner=owner, page_size=page_size
        )
        return listing_of(self._connection, self._deliveries.ListMessages, request, lambda page: page.messages)

    def list_batches(
        self, message_id: str, *, statuses: Iterable[BatchStatus.ValueType] = (), page_size: int = PAGE_SIZE
    ) -> Listing[ListBatchesResponse, Batch]:
        """List the batches of a message by number."""
        request = ListBatchesRequest(message_id=message_id, statuses=statuses, page_size=page_size)
        return listing_of(self._connection, self._deliveries.ListBatches, request, lambda page: page.batches)

    def list_deliveries(
        self,
        message_id: str,
        *,
        recipient_id: str = "",
        statuses: Iterable[DeliveryStatus.ValueType] = (),
        error_types: Iterable[ErrorType.ValueType] = (),
        page_size: int = PAGE_SIZE,
    ) -> Listing[ListDeliveriesResponse, Delivery]:
        """List every attempt of a message, by batch and position in the batch."""
        request = ListDeliveriesRequest(
            message_id=message_id,
            recipient_id=recipient_id,
            statuses=statuses,
            error_types=error_types,
            page_size=page_size,
        )
        return listing_of(self._connection, self._deliveries.ListDeliveries, request, lambda page: page.deliveries)

    def list_failed(
        self,
        message_id: str,
        *,
        error_types: Iterable[ErrorType.ValueType] = (),
        retryable_only: bool = False,
        as_of_time: datetime | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Listing[ListFailedResponse, FailedRecipient]:
        """List recipients whose last attempt failed or is unconfirmed, now or in the past; `page()` has counts."""
        request = ListFailedRequest(
            message_id=message_id,
            error_types=error_types,
            retryable_only=retryable_only,
            as_of_time=to_timestamp(as_of_time),
            page_size=page_size,
        )
        seconds = HISTORY_TIMEOUT if as_of_time else None
        return listing_of(
            self._connection,
            self._deliveries.ListFailed,
            request,
            lambda page: page.failed_recipients,
            seconds=seconds,
        )

    def list_events(
        self, message_id: str, *, batch_number: int = 0, without_batches: bool = False, page_size: int = PAGE_SIZE
    ) -> Listing[ListEventsResponse, LogEvent]:
        """List the events of a message, its page and its batches, or of some of these, in log order."""
        request = ListEventsRequest(
            message_id=message_id, batch_number=batch_number, without_batches=without_batches, page_size=page_size
        )
        return listing_of(self._connection, self._deliveries.ListEvents, request, lambda page: page.events)

    async def pause_message(self, message_id: str, *, request_id: str = "") -> Message:
        """Pause a message until it is resumed; requests in flight finish."""
        request = with_request_id(PauseMessageRequest(message_id=message_id, request_id=request_id))
        return (await self._connection.call(self._deliveries.PauseMessage, request)).message

    async def resume_message(self, message_id: str, *, request_id: str = "") -> Message:
        """Resume a paused message."""
        request = with_request_id(ResumeMessageRequest(message_id=message_id, request_id=request_id))
        return (await self._connection.call(self._deliveries.ResumeMessage, request)).message

    async def cancel_message(self, message_id: str, *, request_id: str = "") -> Message:
        """Cancel a message finally: pending deliveries are cancelled, sent ones are not recalled."""
        request = with_request_id(CancelMessageRequest(message_id=message_id, request_id=request_id))
        return (await self._connection.call(self._deliveries.CancelMessage, request)).message

    def watch_progress(
        self, message_id: str, *, wait_for_retries: bool = False
    ) -> AsyncGenerator[WatchProgressResponse, None]:
        """Yield a snapshot, then changes and heartbeats, with rising `sequence`; end when the message is done.

        The watch continues after a lost connection or a restart of the server. With `wait_for_retries` it also
        continues while an automatic round is due (`progress.next_retry_time`) that has recipients to retry; until that
        round starts, the last response is repeated every few seconds. It ends when no round is left, no recipient is
        retryable, the page is on hold, or the message was cancelled. It does not end while the message is paused
        (status PAUSED).
        """
        request = WatchProgressRequest(message_id=message_id)
        watch = ProgressWatch(
            lambda: self._deliveries.WatchProgress(request, metadata=self._connection.metadata),
            max_silence=self._connection.timeout,
            backoff=self._connection.backoff,
        )
        return (
            watch.responses_until_no_retry_is_due(partial(self._count_retryable, message_id))
            if wait_for_retries
            else watch.responses()
        )

    async def _count_retryable(self, message_id: str) -> int:
        """Return how many recipients an automatic round would take now."""
        return (await self.list_failed(message_id, retryable_only=True, page_size=1).page()).retryable_count
