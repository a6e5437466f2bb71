"""PutPage: a page is registered, its token replaced, its settings changed."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec

from domain import page as pages
from domain.commands import HoldPage, PutPage, ReleasePage, SharePage, TransferPage
from domain.errors import (
    Aborted,
    InvalidRequest,
    PageNotFound,
    PageNotYours,
    PageNotYoursToShare,
    TokenRefused,
    Violation,
)
from domain.event import RequestStamp
from domain.fault import Fault
from domain.owner import ANY_OWNER
from domain.page import Page, PageSettings
from domain.page_events import Hold, PageEvent, PageReleased
from domain.streams import page_stream
from projections import page_pauses
from projections.pages import PageRow, find
from projections.sql import Sql
from server.cluster.page_leases import clear_retry_after
from server.commands.idempotency import PayloadHash, first_answer, stamp_for
from server.commands.lookup import find_page, reach
from server.crypto.vault import PageSecrets, Vault
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents, both
from server.eventstore.rolling_upgrade import older_release_is_running
from server.messenger.channel import Channel, PageCredentials, TokenAccepted, TokenRejected

METHOD = "PutPage"
REDOS = 20
PACE_WITH_WARNING = 300.0  # messages per second: the platform's own limit per page for texts


class PutAnswer(msgspec.Struct, frozen=True):
    """The page, and what a careful person would want to know."""

    page: PageRow
    warnings: Sequence[str]


class PutPageService:
    """Keeps pages and their secrets."""

    def __init__(
        self, log: EventLog, vault: Vault, channel: Channel, now: Callable[[], datetime], default_pace: float
    ) -> None:
        self._log = log
        self._vault = vault
        self._channel = channel
        self._now = now
        self._default_pace = default_pace

    async def put(self, command: PutPage) -> PutAnswer:
        """Puts a page; raises InvalidRequest, PageNotYours, TokenRefused, RequestIdReused, Aborted, Unavailable."""
        stamp = stamp_for(METHOD, command, PayloadHash(command, self._vault.payload_key).hexdigest())
        tried: dict[PageSecrets | None, tuple[bool, list[str]]] = {}  # each may take ten seconds
        for _ in range(REDOS):
            if (answered := await first_answer(self._log, stamp)) is not None:
                return await self._answer(command, answered.answer["warnings"])
            page = pages.fold(command.page_id, await self._log.load(page_stream(command.page_id)))
            if page.is_registered and not page.may_be_changed_by(reach(command)):
                raise PageNotYours(page.id)
            secrets = await self._secrets(command)
            if secrets not in tried:
                tried[secrets] = await self._try(command, secrets)
            verified, warnings = tried[secrets]
            if await self._is_kept(page, secrets):
                secrets = None  # the same token again is no other one: it ends no hold, and failures count on
            if await self._keep(command, page, secrets, verified=verified, stamp=_answered(stamp, warnings)):
                return await self._answer(command, warnings)
        raise Aborted("the page changed too often meanwhile", page_id=command.page_id)

    async def _answer(self, command: PutPage, warnings: Sequence[str]) -> PutAnswer:
        return PutAnswer(await self._log.read(lambda sql: find_page(sql, reach(command), command.page_id)), warnings)

    async def _secrets(self, command: PutPage) -> PageSecrets | None:
        """The page's secrets from now on; None when they stay as they are."""
        kept = await self._log.read(self._vault.page_secrets(command.page_id))
        if kept is None:
            if not command.access_token:
                raise InvalidRequest([Violation("access_token", "is required for a page that is not registered")])
            return PageSecrets(access_token=command.access_token, app_secret=command.app_secret)
        if not command.access_token and not command.app_secret:
            return None
        return PageSecrets(
            access_token=command.access_token or kept.secrets.access_token,
            app_secret=command.app_secret or kept.secrets.app_secret,
        )

    async def _is_kept(self, page: Page, secrets: PageSecrets | None) -> bool:
        kept = await self._log.read(self._vault.page_secrets(page.id))
        return kept is not None and kept.secrets == secrets

    async def _try(self, command: PutPage, secrets: PageSecrets | None) -> tuple[bool, list[str]]:
        warnings = []
        if command.messages_per_second > PACE_WITH_WARNING:
            warnings.append("messages_per_second is above 300, the platform's own limit per page")
        if secrets is None:
            return False, warnings
        credentials = PageCredentials(
            page_id=command.page_id, access_token=secrets.access_token, app_secret=secrets.app_secret
        )
        checked = await self._channel.check_token(credentials)
        if isinstance(checked, TokenRejected):
            raise TokenRefused(
                f"the platform refuses the token: {checked.fault.message}",
                subject=f"pages/{command.page_id}",
                page_id=command.page_id,
            )
        if isinstance(checked, TokenAccepted):
            return True, warnings
        return False, [*warnings, "the platform could not be asked about the token: it is accepted unverified"]

    async def _keep(
        self,
        command: PutPage,
        page: Page,
        secrets: PageSecrets | None,
        *,
        verified: bool,
        stamp: RequestStamp | None,
    ) -> bool:
        """Appends at the version whose secrets were read; False when the page has changed since."""
        events = pages.put(
            page,
            await self._settings(command, page),
            new_token=secrets is not None,
            token_verified=verified,
            requested_by=command.owner,
            request=stamp,
            now=self._now(),
        )
        appends = [StreamEvents(page_stream(page.id), page.version, events)]
        return isinstance(await self._log.commit(Commit(appends, also=self._keep_secrets(page, secrets))), Committed)

    def _keep_secrets(self, page: Page, secrets: PageSecrets | None) -> Callable[[Sql], None] | None:
        if secrets is None:
            return None
        return self._vault.keep_page_secrets(page.id, secrets, page.token_generation + 1)

    async def _settings(self, command: PutPage, page: Page) -> PageSettings:
        return PageSettings(
            name=await self._name(command, page),
            messages_per_second=command.messages_per_second or page.settings.messages_per_second or self._default_pace,
            send_mode=command.send_mode or page.settings.send_mode,
        )

    async def _name(self, command: PutPage, page: Page) -> str:
        """Return the name as it is kept: sealed, unless a server of the release before would have to show it."""
        names, kept = self._vault.labels.page_names, page.settings.name
        if not command.name or names.keeps(command.name, kept, page.id):
            return kept
        return command.name if await self._log.read(older_release_is_running) else names.seal(command.name, page.id)


def _answered(stamp: RequestStamp | None, warnings: Sequence[str]) -> RequestStamp | None:
    return stamp and msgspec.structs.replace(stamp, answer={"warnings": list(warnings)})


# Events on a page's stream, appended at the version that they were decided on; a conflict decides again.


CHANGE_REDOS = 20

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

    `wanted` is who asks: an owner, or ANY_OWNER. Raises PageNotFound for a page that they may not use, PageNotYours
    for one that they may use and not change, RequestIdReused, Aborted, Unavailable, and what `decide` raises.
    """
    for _ in range(CHANGE_REDOS):
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


# HoldPage, ReleasePage, and the hold that a fault of the whole page brings.


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
            ANY_OWNER,
            page_id,
            None,
            lambda page: pages.hold_for_fault(page, fault, token_generation=token_generation, now=self._now()),
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
    return lambda sql: clear_retry_after(sql, page.id)


def _nothing(_: Sql) -> None:
    pass


# SharePage and TransferPage: which callers may use a page.


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
        return await page_now(self._log, ANY_OWNER, command.page_id)  # who gave it away may not use it any more
