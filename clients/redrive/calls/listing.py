"""Lists that the server returns page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableSequence
from typing import Generic, TypeVar

from grpc.aio import UnaryUnaryMultiCallable

from redrive.connection import Connection
from redrive.v1.delivery_service_pb2 import (
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
)
from redrive.v1.page_service_pb2 import ListPagesRequest, ListPagesResponse
from redrive.v1.report_service_pb2 import (
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)
from redrive.v1.resend_pb2 import ListRetriesRequest, ListRetriesResponse

PAGE_SIZE = 1_000  # the server's limit


ListRequest = TypeVar(
    "ListRequest",
    GetDeliveryReportRequest,
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
    ListMessagesRequest,
    ListPagesRequest,
    ListRetriesRequest,
    SummarizeFailuresRequest,
)
ListResponse = TypeVar(
    "ListResponse",
    GetDeliveryReportResponse,
    ListBatchesResponse,
    ListDeliveriesResponse,
    ListEventsResponse,
    ListFailedResponse,
    ListMessagesResponse,
    ListPagesResponse,
    ListRetriesResponse,
    SummarizeFailuresResponse,
)
Item = TypeVar("Item")


def with_page_token(request: ListRequest, page_token: str) -> ListRequest:
    """Return a copy of the request that asks for another page."""
    copy = type(request)()
    copy.CopyFrom(request)
    copy.page_token = page_token
    return copy


class Listing(Generic[ListResponse, Item]):
    """A list over all pages: iterate it for items, or use `pages` and `page` for whole responses with their counts.

    The first request is sent with the first step; each iteration reads the list again. `items_of` returns a response's
    items.
    """

    def __init__(
        self, ask: Callable[[str], Awaitable[ListResponse]], items_of: Callable[[ListResponse], MutableSequence[Item]]
    ) -> None:
        self._ask: Callable[[str], Awaitable[ListResponse]] = ask
        self.items_of: Callable[[ListResponse], MutableSequence[Item]] = items_of

    async def page(self, page_token: str = "") -> ListResponse:
        """Return one page: the first, or the one of this page token."""
        return await self._ask(page_token)

    async def pages(self) -> AsyncIterator[ListResponse]:
        """Yield the responses of all pages."""
        response = await self._ask("")
        yield response
        while response.next_page_token:
            response = await self._ask(response.next_page_token)
            yield response

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for response in self.pages():
            for item in self.items_of(response):
                yield item


def listing_of(
    connection: Connection,
    method: UnaryUnaryMultiCallable[ListRequest, ListResponse],
    request: ListRequest,
    items: Callable[[ListResponse], MutableSequence[Item]],
    *,
    seconds: float | None = None,
) -> Listing[ListResponse, Item]:
    """Return the list for a request. Reading a page takes at most `seconds` (`timeout` if not given)."""

    async def ask(page_token: str) -> ListResponse:
        return await connection.call(method, with_page_token(request, page_token), seconds=seconds)

    return Listing(ask, items)
