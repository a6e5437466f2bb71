"""HoldPage, ReleasePage, and the hold that a fault of the whole page brings."""

from collections.abc import Callable, Sequence
from datetime import datetime

from domain import page as pages
from domain.commands import HoldPage, ReleasePage
from domain.event import RequestStamp
from domain.fault import Fault
from domain.owner import ANYBODY
from domain.page import Page
from domain.page_events import Hold, PageEvent, PageReleased
from projections import page_pauses
from projections.pages import PageRow
from projections.sql import Sql
from server.commands.identity import PayloadHash, stamp_for
from server.commands.lookup import reach
from server.commands.page_change import Decide, Write, change_page, page_now
from server.delivery.ownership import reopen_page
from server.log.commit import EventLog, both
from server.log.vault import Vault


class PageHoldService:
    """Puts pages on hold and lets them go on."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now

    async def hold(self, command: HoldPage) -> PageRow:
        """Holds a page by hand; raises PageNotFound, RequestIdReused, Aborted, Unavailable."""
        key = self._vault.payload_key if command.reason else b""  # so that guesses of a reason cannot be tried on it
        stamp = stamp_for("HoldPage", command, PayloadHash(command, key).hexdigest())
        reason = self._vault.labels.hold_reasons.seal(command.reason, command.page_id)
        wish = Hold(reason=reason, held_by=command.owner)
        return await self._change(command, stamp, lambda page: pages.hold(page, wish, request=stamp, now=self._now()))

    async def release(self, command: ReleasePage) -> PageRow:
        """Lets a page go on, and ends a pause; raises PageNotFound, RequestIdReused, Aborted, Unavailable."""
        stamp = stamp_for("ReleasePage", command, PayloadHash(command).hexdigest())
        pauses = await self._log.read(lambda sql: page_pauses.of_pages(sql, [command.page_id]))
        ended_pause = "; ".join(pause.reason for pause in pauses.values())
        return await self._change(
            command,
            stamp,
            lambda page: pages.release(
                page,
                released_by=command.owner,
                ended_pause=ended_pause,
                request=stamp,
                now=self._now(),
            ),
        )

    async def hold_for(self, page_id: str, fault: Fault, *, token_generation: int) -> None:
        """Holds a page for a fault of its present token; raises Aborted, Unavailable."""
        await change_page(
            self._log,
            ANYBODY,
            page_id,
            None,
            lambda page: pages.hold_for(page, fault, token_generation=token_generation, now=self._now()),
            self._written_with,
        )

    async def _change(self, command: HoldPage | ReleasePage, stamp: RequestStamp | None, decide: Decide) -> PageRow:
        wanted = reach(command)
        await change_page(self._log, wanted, command.page_id, stamp, decide, self._written_with)
        return await page_now(self._log, wanted, command.page_id)

    async def _written_with(self, page: Page, events: Sequence[PageEvent]) -> Write:
        return both(await self._secrets_after(page, events), _pause_after(page, events))

    async def _secrets_after(self, page: Page, events: Sequence[PageEvent]) -> Write:
        """The page's secrets under another generation: they are sealed together with it."""
        generation = pages.apply(page, events).token_generation
        if generation == page.token_generation:
            return _nothing
        kept = await self._log.read(self._vault.page_secrets(page.id))
        return self._vault.keep_page_secrets(page.id, kept.secrets, generation) if kept else _nothing


def _pause_after(page: Page, events: Sequence[PageEvent]) -> Write:
    """A release ends the pause too."""
    if not any(isinstance(event, PageReleased) for event in events):
        return _nothing
    return lambda sql: reopen_page(sql, page.id)


def _nothing(_: Sql) -> None:
    pass
