"""Calls of PageService and ReceiptService."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from redrive.calls.listing import PAGE_SIZE, Listing, listing_of
from redrive.calls.request_id import with_request_id
from redrive.connection import Connection
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

if TYPE_CHECKING:  # defined in the .pyi files of the stubs only
    from redrive.v1.page_service_pb2_grpc import PageServiceAsyncStub
    from redrive.v1.receipt_service_pb2_grpc import ReceiptServiceAsyncStub


class PageCalls:
    """The methods of Client for PageService and ReceiptService. All raise RedriveError."""

    _connection: Connection

    @cached_property
    def _pages(self) -> PageServiceAsyncStub:
        return PageServiceStub(self._connection.channel)

    @cached_property
    def _receipts(self) -> ReceiptServiceAsyncStub:
        return ReceiptServiceStub(self._connection.channel)

    async def put_page(self, request: PutPageRequest) -> PutPageResponse:
        """Register a page, or replace its token and settings."""
        return await self._connection.call(self._pages.PutPage, with_request_id(request))

    async def hold_page(self, page_id: str, reason: str = "") -> Page:
        """Put a page on hold: nothing more is sent, pending deliveries stay pending."""
        request = HoldPageRequest(page_id=page_id, reason=reason)
        return (await self._connection.call(self._pages.HoldPage, with_request_id(request))).page

    async def release_page(self, page_id: str) -> Page:
        """Release a page from its hold, and end a pause that the platform asked for."""
        request = ReleasePageRequest(page_id=page_id)
        return (await self._connection.call(self._pages.ReleasePage, with_request_id(request))).page

    async def share_page(self, page_id: str, shared_with: Iterable[str]) -> Page:
        """Share a page of the caller with exactly these callers; empty: with no caller."""
        request = SharePageRequest(page_id=page_id, shared_with=shared_with)
        return (await self._connection.call(self._pages.SharePage, with_request_id(request))).page

    async def transfer_page(self, page_id: str, owner: str) -> Page:
        """Transfer a page to another owner; only for admins."""
        request = TransferPageRequest(page_id=page_id, owner=owner)
        return (await self._connection.call(self._pages.TransferPage, with_request_id(request))).page

    def list_pages(self, *, page_size: int = PAGE_SIZE) -> Listing[ListPagesResponse, Page]:
        """List the pages that the caller may use, by id."""
        request = ListPagesRequest(page_size=page_size)
        return listing_of(self._connection, self._pages.ListPages, request, lambda page: page.pages)

    async def record_receipts(self, receipts: Iterable[Receipt]) -> RecordReceiptsResponse:
        """Record 1 to 1,000 receipts of the platform; safe to repeat."""
        request = RecordReceiptsRequest(receipts=receipts)
        return await self._connection.call(self._receipts.RecordReceipts, request)
