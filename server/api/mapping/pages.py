"""Mapping of PageService, and of holds and pauses of pages."""

from collections.abc import Sequence

from domain.commands import HoldPage, PutPage, ReleasePage, SharePage, TransferPage
from domain.page_events import SendMode
from projections.page_pauses import PauseRow
from projections.pages import HoldRow, PageRow
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.page_pb2 import Page, PageHold, PagePause
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
from server.api.mapping.enums import ERROR_TYPES, SEND_MODES
from server.api.mapping.times import timestamp
from server.api.validation.pages import (
    HoldPageRules,
    ListPagesRules,
    PutPageRules,
    ReleasePageRules,
    SharePageRules,
    TransferPageRules,
)
from server.commands.pages import PutAnswer
from server.crypto.labels import Labels


def put_page_command(request: PutPageRequest, owner: str, sees: str) -> PutPage:
    """Return the command of a request; raises InvalidRequest."""
    PutPageRules.check(request)
    return PutPage(
        owner=owner,
        sees=sees,
        request_id=request.request_id,
        page_id=request.page_id,
        name=request.name,
        access_token=request.access_token,
        app_secret=request.app_secret,
        messages_per_second=request.messages_per_second,
        send_mode=SendMode(SEND_MODES.name(request.send_mode, "")) if request.send_mode else None,
    )


def put_page_response(answer: PutAnswer, labels: Labels) -> PutPageResponse:
    """Return the page, and warnings about its token."""
    return PutPageResponse(page=_page(answer.page, labels), warnings=answer.warnings)


def hold_page_command(request: HoldPageRequest, owner: str, sees: str) -> HoldPage:
    """Return the command of a request; raises InvalidRequest."""
    HoldPageRules.check(request)
    return HoldPage(
        owner=owner, sees=sees, request_id=request.request_id, page_id=request.page_id, reason=request.reason
    )


def release_page_command(request: ReleasePageRequest, owner: str, sees: str) -> ReleasePage:
    """Return the command of a request; raises InvalidRequest."""
    ReleasePageRules.check(request)
    return ReleasePage(owner=owner, sees=sees, request_id=request.request_id, page_id=request.page_id)


def share_page_command(request: SharePageRequest, owner: str, sees: str) -> SharePage:
    """Return the command of a request, without duplicate callers; raises InvalidRequest."""
    SharePageRules.check(request)
    return SharePage(
        owner=owner,
        sees=sees,
        request_id=request.request_id,
        page_id=request.page_id,
        shared_with=tuple(sorted(set(request.shared_with))),
    )


def transfer_page_command(request: TransferPageRequest, owner: str, sees: str) -> TransferPage:
    """Return the command of a request; raises InvalidRequest."""
    TransferPageRules.check(request)
    return TransferPage(
        owner=owner,
        sees=sees,
        request_id=request.request_id,
        page_id=request.page_id,
        new_owner=request.owner,
    )


def hold_page_response(row: PageRow, labels: Labels) -> HoldPageResponse:
    return HoldPageResponse(page=_page(row, labels))


def release_page_response(row: PageRow, labels: Labels) -> ReleasePageResponse:
    return ReleasePageResponse(page=_page(row, labels))


def share_page_response(row: PageRow, labels: Labels) -> SharePageResponse:
    return SharePageResponse(page=_page(row, labels))


def transfer_page_response(row: PageRow, labels: Labels) -> TransferPageResponse:
    return TransferPageResponse(page=_page(row, labels))


def checked_list_request(request: ListPagesRequest) -> ListPagesRequest:
    """Return the request, which has no filter; raises InvalidRequest."""
    ListPagesRules.check(request)
    return request


def list_pages_response(rows: Sequence[PageRow], next_page_token: str, labels: Labels) -> ListPagesResponse:
    """Return one page of the list of pages."""
    return ListPagesResponse(pages=(_page(row, labels) for row in rows), next_page_token=next_page_token)


def _page(row: PageRow, labels: Labels) -> Page:
    return Page(
        id=row.page_id,
        name=labels.page_names.open(row.name, row.page_id),
        messages_per_second=row.messages_per_second,
        send_mode=SEND_MODES.number(row.send_mode),
        token_generation=row.token_generation,
        token_verified=row.token_verified,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        hold=page_hold(row.hold, row.page_id, labels),
        pause=page_pause(row.pause),
        owner=row.owner,
        shared_with=row.shared_with,
    )


def page_hold(hold: HoldRow | None, page_id: str, labels: Labels) -> PageHold | None:
    """Return why a page is on hold, if it is."""
    if hold is None:
        return None
    return PageHold(
        reason=labels.hold_reasons.open(hold.reason, page_id),
        held_by=hold.held_by,
        error_code=hold.error_code,
        error_subcode=hold.error_subcode,
        error_type=ERROR_TYPES.number(hold.error_type) if hold.error_type else ErrorType.ERROR_TYPE_UNSPECIFIED,
        hold_time=timestamp(hold.time),
    )


def page_pause(pause: PauseRow | None) -> PagePause | None:
    """Return why and until when a page is paused, if it is."""
    if pause is None:
        return None
    return PagePause(
        reason=pause.reason,
        error_code=pause.error_code,
        error_subcode=pause.error_subcode,
        error_type=ERROR_TYPES.number(pause.error_type) if pause.error_type else ErrorType.ERROR_TYPE_UNSPECIFIED,
        pause_time=timestamp(pause.time),
        until_time=timestamp(pause.until),
    )
