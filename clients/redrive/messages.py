"""The client's part for messages: sends them, shows them, holds them back, watches them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING

from redrive.connection import Connection
from redrive.listing import PAGE_SIZE, Listing, listing_of
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
from redrive.watch import Watch

if TYPE_CHECKING:  # these stand in the stubs' .pyi files only
    from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub

STREAM_TIMEOUT = 600.0  # seconds for a SendStream: its recipients may come as slowly as they are read
HISTORY_TIMEOUT = 300.0  # seconds for what was: a message of very many recipients is made anew from its log


class MessageCalls:
    """What Client has of DeliveryService, but for resends; all raise RedriveError."""

    _connection: Connection

    @cached_property
    def _deliveries(self) -> DeliveryServiceAsyncStub:
        return DeliveryServiceStub(self._connection.channel)

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
        owner: str = "",
        page_size: int = PAGE_SIZE,
    ) -> Listing[ListMessagesResponse, Message]:
        """Messages, newest first; only an admin may name another owner than itself."""
        request = ListMessagesRequest(
            page_id=page_id, statuses=statuses, with_failures=with_failures, owner=owner, page_size=page_size
        )
        return listing_of(self._connection, self._deliveries.ListMessages, request, lambda answer: answer.messages)

    def list_batches(
        self, message_id: str, *, statuses: Iterable[BatchStatus.ValueType] = (), page_size: int = PAGE_SIZE
    ) -> Listing[ListBatchesResponse, Batch]:
        """A message's batches, by number."""
        request = ListBatchesRequest(message_id=message_id, statuses=statuses, page_size=page_size)
        return listing_of(self._connection, self._deliveries.ListBatches, request, lambda answer: answer.batches)

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
        return listing_of(self._connection, self._deliveries.ListDeliveries, request, lambda answer: answer.deliveries)

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
        return listing_of(
            self._connection,
            self._deliveries.ListFailed,
            request,
            lambda answer: answer.failed_recipients,
            seconds=seconds,
        )

    def list_events(
        self, message_id: str, *, batch_number: int = 0, without_batches: bool = False, page_size: int = PAGE_SIZE
    ) -> Listing[ListEventsResponse, LogEvent]:
        """What happened to a message, its page and its batches, or to one of these, in the order of the log."""
        request = ListEventsRequest(
            message_id=message_id, batch_number=batch_number, without_batches=without_batches, page_size=page_size
        )
        return listing_of(self._connection, self._deliveries.ListEvents, request, lambda answer: answer.events)

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

    def watch_progress(
        self, message_id: str, *, wait_for_retries: bool = False
    ) -> AsyncGenerator[WatchProgressResponse, None]:
        """A snapshot, then changes and heartbeats, never back in sequence; ends when the message is done.

        Goes on where it was after a lost connection or a restarted server. With `wait_for_retries` it goes on, too,
        while an automatic round is due (`progress.next_retry_time`) that has recipients to retry: the last answer of a
        round is then repeated every few seconds. It ends when no round is left, no recipient can be retried, the page
        is on hold, or the message was cancelled; while the message is paused it waits, with status PAUSED.
        """
        request = WatchProgressRequest(message_id=message_id)
        watch = Watch(
            lambda: self._deliveries.WatchProgress(request, metadata=self._connection.metadata),
            patience=self._connection.timeout,
            backoff=self._connection.backoff,
        )
        return (
            watch.answers_through_retries(partial(self._count_retryable, message_id))
            if wait_for_retries
            else watch.answers()
        )

    async def _count_retryable(self, message_id: str) -> int:
        """Return how many recipients an automatic round would take now."""
        return (await self.list_failed(message_id, retryable_only=True, page_size=1).page()).retryable_count
