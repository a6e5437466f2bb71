"""The servicer of RetryService: map the request, call a service, map the result."""

# ruff: noqa: N802 - the contract names the rpcs

from collections.abc import Iterable

from domain.owner import ANY_OWNER
from projections.message_rows import owned_among
from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleRequest,
    GetRetryScheduleResponse,
    ProcessBatchesRequest,
    ProcessBatchesResponse,
    RunScheduledRetriesRequest,
    RunScheduledRetriesResponse,
)
from redrive.v1.retry_service_pb2_grpc import RetryServiceServicer as RetryServiceBase
from server.api.caller import Context, visible_owner
from server.api.mapping import message_requests, retries
from server.api.mapping.retries import VisibleMessages
from server.api.services import Services
from server.background.timer_report import TimerResult


class RetryServicer(RetryServiceBase):
    """Raises domain errors, which the error interceptor maps to statuses."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._log = services.log
        self._labels = services.labels

    async def RunScheduledRetries(
        self, _request: RunScheduledRetriesRequest, context: Context
    ) -> RunScheduledRetriesResponse:
        results = await self._services.timer.run_now()
        return retries.run_retries_response(results, await self._visible(context, results), self._labels)

    async def ProcessBatches(self, request: ProcessBatchesRequest, context: Context) -> ProcessBatchesResponse:
        released, processing = await self._services.stuck_batches.process(
            visible_owner(context), message_requests.message_id(request)
        )
        return retries.process_batches_response(released, processing)

    async def GetRetrySchedule(self, _request: GetRetryScheduleRequest, context: Context) -> GetRetryScheduleResponse:
        schedule, runs = await self._services.timer.schedule(), await self._services.timer.last_runs()
        results = [*schedule.last_results, *(result for run in runs for result in run.results)]
        return retries.retry_schedule_response(schedule, runs, await self._visible(context, results), self._labels)

    async def _visible(self, context: Context, results: Iterable[TimerResult]) -> VisibleMessages:
        """Return the messages of the results that the caller may see: the timer retries messages of all owners."""
        message_ids = {result.message_id for result in results}
        owner = visible_owner(context)
        if owner == ANY_OWNER:
            return message_ids
        return await self._log.read(lambda sql: owned_among(sql, owner, message_ids))
