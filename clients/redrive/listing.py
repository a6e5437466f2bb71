"""A list that the server answers page by page."""

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

PAGE_SIZE = 1_000  # the most that the server puts on one page


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
ListAnswer = TypeVar(
    "ListAnswer",
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


def at_page(request: ListRequest, page_token: str) -> ListRequest:
    """The same request for another page."""
    turned = type(request)()
    turned.CopyFrom(request)
    turned.page_token = page_token
    return turned


class Listing(Generic[ListAnswer, Item]):
    """Iterates over the items of all pages; `pages` and `page` give whole answers, with what else stands in them.

    Nothing is asked before the first step, and each iteration asks anew. `items_of` gives the items of an answer.
    """

    def __init__(
        self, ask: Callable[[str], Awaitable[ListAnswer]], items_of: Callable[[ListAnswer], MutableSequence[Item]]
    ) -> None:
        self._ask: Callable[[str], Awaitable[ListAnswer]] = ask
        self.items_of: Callable[[ListAnswer], MutableSequence[Item]] = items_of

    async def page(self, page_token: str = "") -> ListAnswer:
        """One page's answer: the first, or the one after the answer whose next_page_token is given."""
        return await self._ask(page_token)

    async def pages(self) -> AsyncIterator[ListAnswer]:
        """The answers of all pages."""
        answer = await self._ask("")
        yield answer
        while answer.next_page_token:
            answer = await self._ask(answer.next_page_token)
            yield answer

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for answer in self.pages():
            for item in self.items_of(answer):
                yield item


def listing_of(
    connection: Connection,
    method: UnaryUnaryMultiCallable[ListRequest, ListAnswer],
    request: ListRequest,
    items: Callable[[ListAnswer], MutableSequence[Item]],
    *,
    seconds: float | None = None,
) -> Listing[ListAnswer, Item]:
    """The list that a request asks for, each page within so many seconds (`timeout` unless given)."""

    async def ask(page_token: str) -> ListAnswer:
        return await connection.ask(method, at_page(request, page_token), seconds=seconds)

    return Listing(ask, items)
