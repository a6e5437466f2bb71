"""The servicer of PageService: map the request, call a service, map the result."""

# ruff: noqa: N802 - the contract names the rpcs

from projections.pages import list_usable
from redrive.v1.page_service_pb2 import (
    HoldPageRequest,
    HoldPageResponse,
    ListPagesRequest,
    ListPagesResponse,
    PutPageRequest,
    PutPageResponse,
    ReleasePageRequest,
    ReleasePageResponse,
    SharePageRequest,
    SharePageResponse,
    TransferPageRequest,
    TransferPageResponse,
)
from redrive.v1.page_service_pb2_grpc import PageServiceServicer as PageServiceBase
from server.api.caller import Context, calling_owner, visible_owner
from server.api.mapping import page_tokens, pages
from server.api.services import Services


class PageServicer(PageServiceBase):
    """Raises domain errors, which the error interceptor maps to statuses."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._log = services.log
        self._labels = services.labels

    async def PutPage(self, request: PutPageRequest, context: Context) -> PutPageResponse:
        command = pages.put_page_command(request, calling_owner(context), visible_owner(context))
        return pages.put_page_response(await self._services.pages.put(command), self._labels)

    async def HoldPage(self, request: HoldPageRequest, context: Context) -> HoldPageResponse:
        command = pages.hold_page_command(request, calling_owner(context), visible_owner(context))
        return pages.hold_page_response(await self._services.holds.hold(command), self._labels)

    async def ReleasePage(self, request: ReleasePageRequest, context: Context) -> ReleasePageResponse:
        command = pages.release_page_command(request, calling_owner(context), visible_owner(context))
        return pages.release_page_response(await self._services.holds.release(command), self._labels)

    async def SharePage(self, request: SharePageRequest, context: Context) -> SharePageResponse:
        command = pages.share_page_command(request, calling_owner(context), visible_owner(context))
        return pages.share_page_response(await self._services.shares.share(command), self._labels)

    async def TransferPage(self, request: TransferPageRequest, context: Context) -> TransferPageResponse:
        command = pages.transfer_page_command(request, calling_owner(context), visible_owner(context))
        return pages.transfer_page_response(await self._services.shares.transfer(command), self._labels)

    async def ListPages(self, request: ListPagesRequest, context: Context) -> ListPagesResponse:
        wanted = visible_owner(context)
        page = page_tokens.PAGES.page(pages.checked_list_request(request), "every page")
        rows = await self._log.read(lambda sql: list_usable(sql, wanted, after=page.after, limit=page.limit))
        return pages.list_pages_response(*page.cut(rows), self._labels)
