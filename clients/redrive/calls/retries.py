"""Calls about resends, rounds, the retry timer and stuck batches."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from redrive.calls.listing import PAGE_SIZE, Listing, listing_of
from redrive.calls.request_id import with_request_id
from redrive.connection import Connection
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

if TYPE_CHECKING:  # defined in the .pyi files of the stubs only
    from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub
    from redrive.v1.retry_service_pb2_grpc import RetryServiceAsyncStub


class RetryCalls:
    """The methods of Client for RetryService, and for the resends of DeliveryService. All raise RedriveError."""

    _connection: Connection

    @cached_property
    def _resends(self) -> DeliveryServiceAsyncStub:
        return DeliveryServiceStub(self._connection.channel)

    @cached_property
    def _retries(self) -> RetryServiceAsyncStub:
        return RetryServiceStub(self._connection.channel)

    async def resend(self, request: ResendRequest) -> ResendResponse:
        """Resend to failed recipients; never to recipients that were sent the message."""
        return await self._connection.call(self._resends.Resend, with_request_id(request))

    def list_retries(self, message_id: str, *, page_size: int = PAGE_SIZE) -> Listing[ListRetriesResponse, RetryRound]:
        """List the rounds of a message, newest first: who asked for it, why, for whom, and its result."""
        request = ListRetriesRequest(message_id=message_id, page_size=page_size)
        return listing_of(self._connection, self._resends.ListRetries, request, lambda page: page.rounds)

    async def run_scheduled_retries(self) -> RunScheduledRetriesResponse:
        """Retry every eligible CRON message now, due or not."""
        request = RunScheduledRetriesRequest()
        return await self._connection.call(self._retries.RunScheduledRetries, request, repeatable=False)

    async def process_batches(self, message_id: str) -> ProcessBatchesResponse:
        """Reclaim the stuck batches of a message, and start its pending ones."""
        request = ProcessBatchesRequest(message_id=message_id)
        return await self._connection.call(self._retries.ProcessBatches, request, repeatable=False)

    async def get_retry_schedule(self) -> GetRetryScheduleResponse:
        """Return the interval, the last run and the next run of the retry timer."""
        return await self._connection.call(self._retries.GetRetrySchedule, GetRetryScheduleRequest())
