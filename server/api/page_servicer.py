"""PageService, as gRPC calls it: translate, call, translate."""

# ruff: noqa: N802 - the contract names the rpcs

from projections.pages import in_order
from redrive.v1.page_service_pb2 import (
    HoldPageRequest,
    HoldPageResponse,
    ListPagesRequest,
    ListPagesResponse,
    PutPageRequest,
    PutPageResponse,
    ReleasePageRequest,
    ReleasePageResponse,
)
from redrive.v1.page_service_pb2_grpc import PageServiceServicer as PageServiceBase
from server.api import listings
from server.api.caller import Context, caller
from server.api.translation import pages
from server.commands.holding_pages import PageHoldService
from server.commands.putting_pages import PutPageService
from server.log.commit import EventLog


class PageServicer(PageServiceBase):
    """Raises domain errors: the interceptor makes statuses of them."""

    def __init__(self, log: EventLog, puts: PutPageService, holds: PageHoldService) -> None:
        self._log = log
        self._puts = puts
        self._holds = holds

    async def PutPage(self, request: PutPageRequest, context: Context) -> PutPageResponse:
        return pages.page_put(await self._puts.put(pages.put_page(request, caller(context))))

    async def HoldPage(self, request: HoldPageRequest, context: Context) -> HoldPageResponse:
        return pages.page_held(await self._holds.hold(pages.hold_page(request, caller(context))))

    async def ReleasePage(self, request: ReleasePageRequest, context: Context) -> ReleasePageResponse:
        return pages.page_released(await self._holds.release(pages.release_page(request, caller(context))))

    async def ListPages(self, request: ListPagesRequest, _context: Context) -> ListPagesResponse:
        page = listings.PAGES.page(pages.checked(request), "every page")
        rows = await self._log.read(lambda sql: in_order(sql, after=page.after, limit=page.limit))
        return pages.page_list(*page.cut(rows))
