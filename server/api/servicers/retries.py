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
from server.api.caller import Context, sees
from server.api.mapping import message_requests, retries
from server.api.mapping.retries import Shown
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
        return retries.retries_run(results, await self._shown(context, results), self._labels)

    async def ProcessBatches(self, request: ProcessBatchesRequest, context: Context) -> ProcessBatchesResponse:
        released, processing = await self._services.stuck_batches.process(
            sees(context), message_requests.message_id(request)
        )
        return retries.batches_processed(released, processing)

    async def GetRetrySchedule(self, _request: GetRetryScheduleRequest, context: Context) -> GetRetryScheduleResponse:
        known, runs = await self._services.timer.schedule(), await self._services.timer.last_runs()
        results = [*known.last_results, *(result for run in runs for result in run.results)]
        return retries.schedule(known, runs, await self._shown(context, results), self._labels)

    async def _shown(self, context: Context, results: Iterable[TimerResult]) -> Shown:
        """Which messages the caller may read about: the timer retries everybody's."""
        message_ids = {result.message_id for result in results}
        owner = sees(context)
        if owner == ANY_OWNER:
            return message_ids
        return await self._log.read(lambda sql: owned_among(sql, owner, message_ids))
