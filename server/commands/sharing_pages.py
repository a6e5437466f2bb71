"""SharePage and TransferPage: which callers may use a page."""

from collections.abc import Callable, Sequence
from datetime import datetime

from domain import page as pages
from domain.commands import SharePage, TransferPage
from domain.errors import PageNotYoursToShare
from domain.event import RequestStamp
from domain.owner import ANYBODY
from domain.page import Page
from domain.page_events import PageEvent
from projections.pages import PageRow
from server.commands.identity import PayloadHash, stamp_for
from server.commands.lookup import reach
from server.commands.page_change import change_page, page_now
from server.log.commit import EventLog


class PageShareService:
    """Shares pages, and gives them to other owners."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def share(self, command: SharePage) -> PageRow:
        """Share a page with the named callers, and with no others.

        Raises PageNotFound, PageNotYours, PageNotYoursToShare, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for("SharePage", command, PayloadHash(command).hexdigest())
        wanted = reach(command)
        await change_page(self._log, wanted, command.page_id, stamp, lambda page: self._shared(page, command, stamp))
        return await page_now(self._log, wanted, command.page_id)

    def _shared(self, page: Page, command: SharePage, stamp: RequestStamp | None) -> Sequence[PageEvent]:
        if not page.may_be_shared_by(reach(command)):
            raise PageNotYoursToShare(page.id)
        return pages.share(page, command.shared_with, requested_by=command.owner, request=stamp, now=self._now())

    async def transfer(self, command: TransferPage) -> PageRow:
        """Give a page to another owner; who asks is an admin, which the gate has checked.

        Raises PageNotFound, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for("TransferPage", command, PayloadHash(command).hexdigest())
        wanted = reach(command)

        def decide(page: Page) -> Sequence[PageEvent]:
            return pages.transfer(page, command.new_owner, requested_by=command.owner, request=stamp, now=self._now())

        await change_page(self._log, wanted, command.page_id, stamp, decide)
        return await page_now(self._log, ANYBODY, command.page_id)  # who gave it away may not use it any more
