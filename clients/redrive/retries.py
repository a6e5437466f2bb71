"""The client's part for retries: resends, their rounds, the timer, stuck batches."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from redrive.connection import Connection
from redrive.listing import PAGE_SIZE, Listing, listing_of
from redrive.request_id import with_request_id
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from redrive.v1.resend_pb2 import ListRetriesRequest, ListRetriesResponse, ResendRequest, ResendResponse, RetryRound
from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleRequest,
    GetRetryScheduleResponse,
    ProcessBatchesRequest,
    ProcessBatchesResponse,
    RunScheduledRetriesRequest,
    RunScheduledRetriesResponse,
)
from redrive.v1.retry_service_pb2_grpc import RetryServiceStub

if TYPE_CHECKING:  # these stand in the stubs' .pyi files only
    from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub
    from redrive.v1.retry_service_pb2_grpc import RetryServiceAsyncStub


class RetryCalls:
    """What Client has of RetryService, and of DeliveryService for resends; all raise RedriveError."""

    _connection: Connection

    @cached_property
    def _resends(self) -> DeliveryServiceAsyncStub:
        return DeliveryServiceStub(self._connection.channel)

    @cached_property
    def _retries(self) -> RetryServiceAsyncStub:
        return RetryServiceStub(self._connection.channel)

    async def resend(self, request: ResendRequest) -> ResendResponse:
        """Resends to those who failed, never to those who were sent to."""
        return await self._connection.ask(self._resends.Resend, with_request_id(request))

    def list_retries(self, message_id: str, *, page_size: int = PAGE_SIZE) -> Listing[ListRetriesResponse, RetryRound]:
        """Every round of a message's resends, newest first: who, why, for whom, and what came of it."""
        request = ListRetriesRequest(message_id=message_id, page_size=page_size)
        return listing_of(self._connection, self._resends.ListRetries, request, lambda answer: answer.rounds)

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
