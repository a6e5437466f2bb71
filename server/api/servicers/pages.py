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
    SharePageRequest,
    SharePageResponse,
    TransferPageRequest,
    TransferPageResponse,
)
from redrive.v1.page_service_pb2_grpc import PageServiceServicer as PageServiceBase
from server.api.caller import Context, caller, sees
from server.api.mapping import page_tokens, pages
from server.commands.pages import PageHoldService, PageShareService, PutPageService
from server.crypto.labels import Labels
from server.eventstore.commit import EventLog


class PageServicer(PageServiceBase):
    """Raises domain errors: the interceptor makes statuses of them."""

    def __init__(
        self, log: EventLog, puts: PutPageService, holds: PageHoldService, shares: PageShareService, labels: Labels
    ) -> None:
        self._log = log
        self._puts = puts
        self._holds = holds
        self._shares = shares
        self._labels = labels

    async def PutPage(self, request: PutPageRequest, context: Context) -> PutPageResponse:
        command = pages.put_page(request, caller(context), sees(context))
        return pages.page_put(await self._puts.put(command), self._labels)

    async def HoldPage(self, request: HoldPageRequest, context: Context) -> HoldPageResponse:
        command = pages.hold_page(request, caller(context), sees(context))
        return pages.page_held(await self._holds.hold(command), self._labels)

    async def ReleasePage(self, request: ReleasePageRequest, context: Context) -> ReleasePageResponse:
        command = pages.release_page(request, caller(context), sees(context))
        return pages.page_released(await self._holds.release(command), self._labels)

    async def SharePage(self, request: SharePageRequest, context: Context) -> SharePageResponse:
        command = pages.share_page(request, caller(context), sees(context))
        return pages.page_shared(await self._shares.share(command), self._labels)

    async def TransferPage(self, request: TransferPageRequest, context: Context) -> TransferPageResponse:
        command = pages.transfer_page(request, caller(context), sees(context))
        return pages.page_transferred(await self._shares.transfer(command), self._labels)

    async def ListPages(self, request: ListPagesRequest, context: Context) -> ListPagesResponse:
        wanted = sees(context)
        page = page_tokens.PAGES.page(pages.checked(request), "every page")
        rows = await self._log.read(lambda sql: in_order(sql, wanted, after=page.after, limit=page.limit))
        return pages.page_list(*page.cut(rows), self._labels)
