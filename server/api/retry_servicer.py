"""RetryService, as gRPC calls it: translate, call, translate."""

# ruff: noqa: N802 - the contract names the rpcs

from redrive.v1.retry_service_pb2 import (
    GetRetryScheduleRequest,
    GetRetryScheduleResponse,
    ProcessBatchesRequest,
    ProcessBatchesResponse,
    RunScheduledRetriesRequest,
    RunScheduledRetriesResponse,
)
from redrive.v1.retry_service_pb2_grpc import RetryServiceServicer as RetryServiceBase
from server.api.caller import Context, caller
from server.api.ports import RetryTimer, StuckBatches
from server.api.translation import message_requests, retries


class RetryServicer(RetryServiceBase):
    """Raises domain errors: the interceptor makes statuses of them."""

    def __init__(self, timer: RetryTimer, stuck: StuckBatches) -> None:
        self._timer = timer
        self._stuck = stuck

    async def RunScheduledRetries(
        self, _request: RunScheduledRetriesRequest, _context: Context
    ) -> RunScheduledRetriesResponse:
        return retries.retries_run(await self._timer.run_now())

    async def ProcessBatches(self, request: ProcessBatchesRequest, context: Context) -> ProcessBatchesResponse:
        released, processing = await self._stuck.process(caller(context), message_requests.message_id(request))
        return retries.batches_processed(released, processing)

    async def GetRetrySchedule(self, _request: GetRetryScheduleRequest, _context: Context) -> GetRetryScheduleResponse:
        return retries.schedule(await self._timer.schedule(), await self._timer.last_runs())
