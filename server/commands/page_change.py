"""Events on a page's stream, appended at the version that they were decided on; a conflict decides again."""

from collections.abc import Awaitable, Callable, Sequence

from domain import page as pages
from domain.errors import Aborted, PageNotFound, PageNotYours
from domain.event import RequestStamp
from domain.page import Page
from domain.page_events import PageEvent
from domain.streams import page_stream
from projections.pages import PageRow, find
from projections.sql import Sql
from server.commands.identity import first_answer
from server.log.commit import Commit, Committed, EventLog, StreamEvents

REDOS = 20

Decide = Callable[[Page], Sequence[PageEvent]]
Write = Callable[[Sql], None]
Also = Callable[[Page, Sequence[PageEvent]], Awaitable[Write]]  # what is written in the same transaction


async def write_nothing(_: Page, __: Sequence[PageEvent]) -> Write:
    """Write nothing beside the events."""
    return lambda _: None


async def change_page(
    log: EventLog, wanted: str, page_id: str, stamp: RequestStamp | None, decide: Decide, also: Also = write_nothing
) -> None:
    """Append what is decided, if anything, unless the request was carried out before.

    `wanted` is who asks: an owner, or ANYBODY. Raises PageNotFound for a page that they may not use, PageNotYours
    for one that they may use and not change, RequestIdReused, Aborted, Unavailable, and what `decide` raises.
    """
    for _ in range(REDOS):
        if await first_answer(log, stamp) is not None:
            return
        page = pages.fold(page_id, await log.load(page_stream(page_id)))
        if not page.is_registered or not page.is_open_to(wanted):
            raise PageNotFound(page_id)
        if not page.may_be_changed_by(wanted):
            raise PageNotYours(page_id)
        events = decide(page)
        if not events:
            return
        commit = Commit([StreamEvents(page_stream(page_id), page.version, events)], also=await also(page, events))
        if isinstance(await log.commit(commit), Committed):
            return
    raise Aborted("the page changed too often", page_id=page_id)


async def page_now(log: EventLog, wanted: str, page_id: str) -> PageRow:
    """Return a page after a change; raises PageNotFound for who may not use it any more."""
    row = await log.read(lambda sql: find(sql, page_id))
    if row is None or not row.is_open_to(wanted):
        raise PageNotFound(page_id)
    return row
