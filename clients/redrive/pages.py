"""The client's part for pages, and for what the platform says of what they sent."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from redrive.connection import Connection
from redrive.listing import PAGE_SIZE, Listing, listing_of
from redrive.request_id import with_request_id
from redrive.v1.page_pb2 import Page
from redrive.v1.page_service_pb2 import (
    HoldPageRequest,
    ListPagesRequest,
    ListPagesResponse,
    PutPageRequest,
    PutPageResponse,
    ReleasePageRequest,
    SharePageRequest,
    TransferPageRequest,
)
from redrive.v1.page_service_pb2_grpc import PageServiceStub
from redrive.v1.receipt_service_pb2 import Receipt, RecordReceiptsRequest, RecordReceiptsResponse
from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceStub

if TYPE_CHECKING:  # these stand in the stubs' .pyi files only
    from redrive.v1.page_service_pb2_grpc import PageServiceAsyncStub
    from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceAsyncStub


class PageCalls:
    """What Client has of PageService and ReceiptService; all raise RedriveError."""

    _connection: Connection

    @cached_property
    def _pages(self) -> PageServiceAsyncStub:
        return PageServiceStub(self._connection.channel)

    @cached_property
    def _receipts(self) -> ReceiptServiceAsyncStub:
        return ReceiptServiceStub(self._connection.channel)

    async def put_page(self, request: PutPageRequest) -> PutPageResponse:
        """Registers a page, or replaces its token and settings."""
        return await self._connection.ask(self._pages.PutPage, with_request_id(request))

    async def hold_page(self, page_id: str, reason: str = "") -> Page:
        """Lets nothing more of a page leave; what is pending stays pending."""
        request = HoldPageRequest(page_id=page_id, reason=reason)
        return (await self._connection.ask(self._pages.HoldPage, with_request_id(request))).page

    async def release_page(self, page_id: str) -> Page:
        """Lets a page on hold go on, and ends a pause that the platform asked for."""
        request = ReleasePageRequest(page_id=page_id)
        return (await self._connection.ask(self._pages.ReleasePage, with_request_id(request))).page

    async def share_page(self, page_id: str, shared_with: Iterable[str]) -> Page:
        """Share a page of the caller's with these callers, and with no others; empty: with none."""
        request = SharePageRequest(page_id=page_id, shared_with=shared_with)
        return (await self._connection.ask(self._pages.SharePage, with_request_id(request))).page

    async def transfer_page(self, page_id: str, owner: str) -> Page:
        """Give a page to another owner; for admins."""
        request = TransferPageRequest(page_id=page_id, owner=owner)
        return (await self._connection.ask(self._pages.TransferPage, with_request_id(request))).page

    def list_pages(self, *, page_size: int = PAGE_SIZE) -> Listing[ListPagesResponse, Page]:
        """Pages that the caller may use, by id."""
        request = ListPagesRequest(page_size=page_size)
        return listing_of(self._connection, self._pages.ListPages, request, lambda answer: answer.pages)

    async def record_receipts(self, receipts: Iterable[Receipt]) -> RecordReceiptsResponse:
        """Takes in what the platform says of deliveries, 1 to 1,000 receipts; safe to repeat."""
        request = RecordReceiptsRequest(receipts=receipts)
        return await self._connection.ask(self._receipts.RecordReceipts, request)
