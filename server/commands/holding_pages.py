"""HoldPage, ReleasePage, and the hold that a fault of the whole page brings."""

from collections.abc import Callable
from datetime import datetime

from domain import page as pages
from domain.commands import HoldPage, ReleasePage
from domain.errors import Aborted, PageNotFound
from domain.event import RequestStamp
from domain.fault import Fault
from domain.page import Page
from domain.page_events import Hold, PageEvent, PageReleased
from domain.streams import page_stream
from projections import page_pauses
from projections.pages import PageRow
from projections.sql import Sql
from server.commands.identity import PayloadHash, first_answer, stamp_for
from server.commands.lookup import find_page
from server.delivery.ownership import reopen_page
from server.log.commit import Commit, Committed, EventLog, StreamEvents, both
from server.log.vault import Vault

REDOS = 20

Decide = Callable[[Page], tuple[PageEvent, ...]]
Write = Callable[[Sql], None]


class PageHoldService:
    """Puts pages on hold and lets them go on."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now

    async def hold(self, command: HoldPage) -> PageRow:
        """Holds a page by hand; raises PageNotFound, RequestIdReused, Aborted, Unavailable."""
        stamp = stamp_for("HoldPage", command, PayloadHash(command).hexdigest())
        wish = Hold(reason=command.reason, held_by=command.owner)
        await self._change(command.page_id, stamp, lambda page: pages.hold(page, wish, request=stamp, now=self._now()))
        return await self._log.read(lambda sql: find_page(sql, command.page_id))

    async def release(self, command: ReleasePage) -> PageRow:
        """Lets a page go on, and ends a pause; raises PageNotFound, RequestIdReused, Aborted, Unavailable."""
        stamp = stamp_for("ReleasePage", command, PayloadHash(command).hexdigest())
        pauses = await self._log.read(lambda sql: page_pauses.of_pages(sql, [command.page_id]))
        ended_pause = "; ".join(pause.reason for pause in pauses.values())
        await self._change(
            command.page_id,
            stamp,
            lambda page: pages.release(
                page,
                released_by=command.owner,
                ended_pause=ended_pause,
                request=stamp,
                now=self._now(),
            ),
        )
        return await self._log.read(lambda sql: find_page(sql, command.page_id))

    async def hold_for(self, page_id: str, fault: Fault, *, token_generation: int) -> None:
        """Holds a page for a fault of its present token; raises Aborted, Unavailable."""
        await self._change(
            page_id,
            None,
            lambda page: pages.hold_for(page, fault, token_generation=token_generation, now=self._now()),
        )

    async def _change(self, page_id: str, stamp: RequestStamp | None, decide: Decide) -> None:
        for _ in range(REDOS):
            if await first_answer(self._log, stamp) is not None:
                return
            page = pages.fold(page_id, await self._log.load(page_stream(page_id)))
            if not page.is_registered:
                raise PageNotFound(page_id)
            events = decide(page)
            if not events or await self._append(page, events):
                return
        raise Aborted("the page changed too often meanwhile", page_id=page_id)

    async def _append(self, page: Page, events: tuple[PageEvent, ...]) -> bool:
        also = both(await self._secrets_after(page, events), _pause_after(page, events))
        commit = Commit([StreamEvents(page_stream(page.id), page.version, events)], also=also)
        return isinstance(await self._log.commit(commit), Committed)

    async def _secrets_after(self, page: Page, events: tuple[PageEvent, ...]) -> Write:
        """The page's secrets under another generation: they are sealed together with it."""
        generation = pages.apply(page, events).token_generation
        if generation == page.token_generation:
            return _nothing
        kept = await self._log.read(self._vault.page_secrets(page.id))
        return self._vault.keep_page_secrets(page.id, kept.secrets, generation) if kept else _nothing


def _pause_after(page: Page, events: tuple[PageEvent, ...]) -> Write:
    """A release ends the pause too."""
    if not any(isinstance(event, PageReleased) for event in events):
        return _nothing
    return lambda sql: reopen_page(sql, page.id)


def _nothing(_: Sql) -> None:
    pass
