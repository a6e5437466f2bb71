"""The servicer of DeliveryService: map the request, call a service, map the result."""

# ruff: noqa: N802 - the contract names the rpcs

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar

from projections import message_rows
from projections.message_rows import MessageRow
from projections.sql import Sql
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    CancelMessageResponse,
    GetMessageRequest,
    GetMessageResponse,
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
    ListRetriesRequest,
    ListRetriesResponse,
    PauseMessageRequest,
    PauseMessageResponse,
    ResendRequest,
    ResendResponse,
    ResumeMessageRequest,
    ResumeMessageResponse,
    SendRequest,
    SendResponse,
    SendStreamRequest,
    SendStreamResponse,
    WatchProgressRequest,
    WatchProgressResponse,
)
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceServicer as DeliveryServiceBase
from server.api.caller import Context, calling_owner, visible_owner
from server.api.mapping import deliveries, events, message_requests, messages, page_tokens, resends, send_requests
from server.api.mapping.message_requests import MessageAt
from server.api.servicers.draining import Drain
from server.api.servicers.send_streams import open_stream
from server.api.services import Services
from server.commands.lookup import require_message
from server.queries.attempts import list_attempts
from server.queries.failures import RetryGroupCache, list_failures, uncached_counts
from server.queries.lists import list_batches
from server.queries.message_events import list_events
from server.queries.rounds import NextRoundTimes, list_retries

T = TypeVar("T")


class DeliveryServicer(DeliveryServiceBase):
    """Raises domain errors, which the error interceptor maps to statuses."""

    def __init__(self, services: Services, next_rounds: NextRoundTimes, drain: Drain) -> None:
        self._services = services
        self._log = services.log
        self._labels = services.labels
        self._failure_groups = RetryGroupCache()
        self._next_rounds = next_rounds
        self._drain = drain

    async def Send(self, request: SendRequest, context: Context) -> SendResponse:
        command, recipients = await send_requests.send_command(request, calling_owner(context), visible_owner(context))
        return messages.send_response(await self._services.sends.send(command, recipients), self._labels)

    async def SendStream(
        self, request_iterator: AsyncIterator[SendStreamRequest], context: Context
    ) -> SendStreamResponse:
        parts = send_requests.SendParts(request_iterator)
        command = await parts.header(calling_owner(context), visible_owner(context))
        async with open_stream(self._services.streams, command) as stream:
            async for recipients in parts.recipients():
                await stream.add(recipients)
            # For grpc.aio a broken call looks like the end of the stream. Only writing to a broken call fails.
            await context.send_initial_metadata(())
            return messages.send_stream_response(await stream.submit(), self._labels)

    async def GetMessage(self, request: GetMessageRequest, context: Context) -> GetMessageResponse:
        wanted = message_requests.message_at(request, visible_owner(context))
        row = await self._at(wanted, lambda sql: require_message(sql, wanted.owner, wanted.message_id))
        next_round = await self._next_round(wanted, row)
        is_past = wanted.time is not None
        return GetMessageResponse(message=messages.message(row, self._labels, next_round, is_past=is_past))

    async def _at(self, wanted: MessageAt, query: Callable[[Sql], T]) -> T:
        """Run a query on the present state, or on the state at the requested time."""
        if wanted.time is None:
            return await self._log.read(query)
        return await self._services.history.ask(wanted.owner, wanted.message_id, wanted.time, query)

    async def _next_round(self, wanted: MessageAt, message: MessageRow) -> datetime | None:
        """Return when the next automatic round starts; None if there is none, and for a past state."""
        return None if wanted.time else (await self._next_rounds.of([message])).get(message.message_id)

    async def ListMessages(self, request: ListMessagesRequest, context: Context) -> ListMessagesResponse:
        wanted = message_requests.message_filter(request, visible_owner(context))
        page = page_tokens.MESSAGES.page(request, wanted)
        rows = await self._log.read(
            lambda sql: message_rows.list_newest(sql, wanted, before=page.after, limit=page.limit)
        )
        return messages.list_messages_response(*page.cut(rows), await self._next_rounds.of(rows), self._labels)

    async def ListBatches(self, request: ListBatchesRequest, context: Context) -> ListBatchesResponse:
        wanted = message_requests.batch_filter(request, visible_owner(context))
        page = page_tokens.BATCHES.page(request, wanted)
        found = await self._log.read(list_batches(wanted, after=page.after, limit=page.limit))
        return deliveries.list_batches_response(*page.cut(found))

    async def ListDeliveries(self, request: ListDeliveriesRequest, context: Context) -> ListDeliveriesResponse:
        wanted = message_requests.delivery_filter(request)
        page = page_tokens.DELIVERIES.page(request, wanted)
        found = await self._log.read(list_attempts(visible_owner(context), wanted, after=page.after, limit=page.limit))
        next_round = (await self._next_rounds.of([found.message])).get(wanted.message_id) if found.retryable else None
        rows, token = page.cut(found.rows)
        shown = await self._services.names.open_in(rows)
        return deliveries.list_deliveries_response(found, shown, token, next_round, self._services.names.ids)

    async def ListFailed(self, request: ListFailedRequest, context: Context) -> ListFailedResponse:
        wanted = message_requests.failure_filter(request, visible_owner(context))
        place = message_requests.failures_at(request, wanted)
        page = page_tokens.FAILURES.page(request, (wanted, place.time))
        groups_of = uncached_counts if place.time else self._failure_groups.of
        found = await self._at(place, list_failures(wanted, after=page.after, limit=page.limit, groups_of=groups_of))
        next_round = await self._next_round(place, found.message)
        failures, token = page.cut(found.failures)
        named = await self._services.names.of_failures(failures, wanted.message_id)
        sequence = 0 if place.time else found.message.sequence
        return deliveries.list_failed_response(found, named, token, next_round, sequence)

    async def ListEvents(self, request: ListEventsRequest, context: Context) -> ListEventsResponse:
        wanted = message_requests.event_filter(request, visible_owner(context))
        page = page_tokens.EVENTS.page(request, wanted)
        found = await list_events(self._log, wanted, after=page.after, limit=page.limit)
        rows, token = page.cut(found.events, is_cut_short=found.is_cut_short)
        # Mapping a page takes up to a fifth of a second.
        return await self._log.compute(partial(events.list_events_response, rows, token, self._labels))

    async def Resend(self, request: ResendRequest, context: Context) -> ResendResponse:
        command = resends.resend_command(request, calling_owner(context), visible_owner(context))
        return resends.resend_response(await self._services.resends.resend(command))

    async def ListRetries(self, request: ListRetriesRequest, context: Context) -> ListRetriesResponse:
        wanted = resends.retry_filter(request, visible_owner(context))
        page = page_tokens.RETRIES.page(request, wanted)
        found = await list_retries(self._log, wanted, before=page.after, limit=page.limit)
        return resends.list_retries_response(*page.cut(found), self._labels)

    async def PauseMessage(self, request: PauseMessageRequest, context: Context) -> PauseMessageResponse:
        command = message_requests.pause_command(request, calling_owner(context), visible_owner(context))
        row = await self._services.pauses.pause(command)
        return PauseMessageResponse(message=messages.message(row, self._labels))

    async def ResumeMessage(self, request: ResumeMessageRequest, context: Context) -> ResumeMessageResponse:
        command = message_requests.resume_command(request, calling_owner(context), visible_owner(context))
        return ResumeMessageResponse(
            message=messages.message(await self._services.pauses.resume(command), self._labels)
        )

    async def CancelMessage(self, request: CancelMessageRequest, context: Context) -> CancelMessageResponse:
        command = message_requests.cancel_command(request, calling_owner(context), visible_owner(context))
        return CancelMessageResponse(
            message=messages.message(await self._services.cancels.cancel(command), self._labels)
        )

    async def WatchProgress(
        self, request: WatchProgressRequest, context: Context
    ) -> AsyncIterator[WatchProgressResponse]:
        message_id = message_requests.message_id(request)
        watched = self._services.progress.watch(visible_owner(context), message_id)
        async for latest in self._drain.until_drain(watched):
            row = latest.message  # only a done message has a next round, and the watch ends with it
            next_rounds = await self._next_rounds.of([row]) if row.completed else {}
            yield messages.watch_progress_response(latest, self._labels, next_rounds.get(message_id))
