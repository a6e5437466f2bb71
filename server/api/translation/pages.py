"""Pages: requests in, answers out."""

from collections.abc import Sequence

from domain.commands import PutPage
from domain.page_events import SendMode
from projections.pages import PageRow
from redrive.v1.page_pb2 import Page
from redrive.v1.page_service_pb2 import ListPagesRequest, ListPagesResponse, PutPageRequest, PutPageResponse
from server.api.rules.page_rules import ListPagesRules, PutPageRules
from server.api.translation.enum_words import SEND_MODES
from server.api.translation.times import timestamp
from server.commands.putting_pages import PutAnswer


def put_page(request: PutPageRequest, owner: str) -> PutPage:
    """What to put; raises InvalidRequest."""
    PutPageRules.check(request)
    return PutPage(
        owner=owner,
        request_id=request.request_id,
        page_id=request.page_id,
        name=request.name,
        access_token=request.access_token,
        app_secret=request.app_secret,
        messages_per_second=request.messages_per_second,
        send_mode=SendMode(SEND_MODES.word(request.send_mode, "")) if request.send_mode else None,
    )


def page_put(answer: PutAnswer) -> PutPageResponse:
    """What a PutPage made."""
    return PutPageResponse(page=_page(answer.page), warnings=answer.warnings)


def checked(request: ListPagesRequest) -> ListPagesRequest:
    """A request that says nothing but which part of the list to show; raises InvalidRequest."""
    ListPagesRules.check(request)
    return request


def page_list(rows: Sequence[PageRow], next_page_token: str) -> ListPagesResponse:
    """One page of pages."""
    return ListPagesResponse(pages=map(_page, rows), next_page_token=next_page_token)


def _page(row: PageRow) -> Page:
    return Page(
        id=row.page_id,
        name=row.name,
        messages_per_second=row.messages_per_second,
        send_mode=SEND_MODES.number(row.send_mode),
        token_generation=row.token_generation,
        token_verified=row.token_verified,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
    )
