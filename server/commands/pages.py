"""Changes of pages: PutPage, HoldPage, ReleasePage, SharePage, TransferPage, and the hold after a page-wide fault."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

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
from server.commands.decisions import Decision, commit_once
from server.commands.idempotency import PayloadHash, stamp_for
from server.commands.lookup import owner_filter, require_page
from server.crypto.vault import PageSecrets, Vault
from server.eventstore.commit import Commit, EventLog, StreamEvents, combine
from server.eventstore.rolling_upgrade import older_release_is_running
from server.messenger.channel import Channel, PageCredentials, TokenAccepted, TokenRejected

PUT, HOLD, RELEASE, SHARE, TRANSFER = "PutPage", "HoldPage", "ReleasePage", "SharePage", "TransferPage"
PACE_WITH_WARNING = 300.0  # messages per second: the platform's own limit per page for texts

DecideChange = Callable[[Page], Sequence[PageEvent]]  # no events: nothing changes
AlsoWrite = Callable[[Sql], None]  # runs in the transaction of the commit
Also = Callable[[Page, Sequence[PageEvent]], Awaitable[AlsoWrite]]


class PutAnswer(msgspec.Struct, frozen=True):
    """The page, and warnings for the caller."""

    page: PageRow
    warnings: Sequence[str]


class _TokenCheck(NamedTuple):
    verified: bool
    warnings: Sequence[str]


class PutPageService:
    """Registers pages, replaces their tokens and secrets, and changes their settings."""

    def __init__(
        self, log: EventLog, vault: Vault, channel: Channel, now: Callable[[], datetime], default_pace: float
    ) -> None:
        self._log = log
        self._vault = vault
        self._channel = channel
        self._now = now
        self._default_pace = default_pace

    async def put(self, command: PutPage) -> PutAnswer:
        """Register or change a page.

        Raises InvalidRequest, PageNotYours, TokenRefused, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for(PUT, command, PayloadHash(command, self._vault.payload_key).hexdigest())
        checks: dict[PageSecrets | None, _TokenCheck] = {}  # each may take ten seconds

        async def decision() -> Decision[Sequence[str]]:
            page = await _load_page(self._log, command.page_id)
            if page.is_registered and not page.may_be_changed_by(owner_filter(command)):
                raise PageNotYours(page.id)
            secrets = await self._secrets(command)
            if secrets not in checks:
                checks[secrets] = await self._check_token(command, secrets)
            check = checks[secrets]
            if await self._is_stored(page, secrets):
                secrets = None  # the stored token is no new token: it ends no hold and resets no count of failures
            return Decision(check.warnings, await self._commit(command, page, secrets, check, stamp))

        aborted = _changed_too_often(command.page_id)
        warnings = await commit_once(self._log, stamp, decision, _stored_warnings, aborted)
        row = await self._log.read(lambda sql: require_page(sql, owner_filter(command), command.page_id))
        return PutAnswer(row, warnings)

    async def _secrets(self, command: PutPage) -> PageSecrets | None:
        """Return the page's new secrets, or None if the command has none; raises InvalidRequest."""
        stored = await self._log.read(self._vault.page_secrets(command.page_id))
        if stored is None:
            if not command.access_token:
                raise InvalidRequest([Violation("access_token", "is required for a page that is not registered")])
            return PageSecrets(access_token=command.access_token, app_secret=command.app_secret)
        if not command.access_token and not command.app_secret:
            return None
        return PageSecrets(
            access_token=command.access_token or stored.secrets.access_token,
            app_secret=command.app_secret or stored.secrets.app_secret,
        )

    async def _is_stored(self, page: Page, secrets: PageSecrets | None) -> bool:
        stored = await self._log.read(self._vault.page_secrets(page.id))
        return stored is not None and stored.secrets == secrets

    async def _check_token(self, command: PutPage, secrets: PageSecrets | None) -> _TokenCheck:
        """Ask the platform about a new token; raises TokenRefused. An unreachable platform only causes a warning."""
        warnings = []
        if command.messages_per_second > PACE_WITH_WARNING:
            warnings.append("messages_per_second is above 300, the platform's own limit per page")
        if secrets is None:
            return _TokenCheck(verified=False, warnings=warnings)
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
            return _TokenCheck(verified=True, warnings=warnings)
        unverified = "the platform could not be asked about the token: it is accepted unverified"
        return _TokenCheck(verified=False, warnings=[*warnings, unverified])

    async def _commit(
        self,
        command: PutPage,
        page: Page,
        secrets: PageSecrets | None,
        check: _TokenCheck,
        stamp: RequestStamp | None,
    ) -> Commit:
        """Return the commit at the version whose secrets were read."""
        events = pages.put(
            page,
            await self._settings(command, page),
            new_token=secrets is not None,
            token_verified=check.verified,
            requested_by=command.owner,
            request=stamp and msgspec.structs.replace(stamp, answer={"warnings": list(check.warnings)}),
            now=self._now(),
        )
        appends = [StreamEvents(page_stream(page.id), page.version, events)]
        return Commit(appends, also=self._keep_secrets(page, secrets))

    def _keep_secrets(self, page: Page, secrets: PageSecrets | None) -> AlsoWrite | None:
        if secrets is None:
            return None
        return self._vault.save_page_secrets(page.id, secrets, page.token_generation + 1)

    async def _settings(self, command: PutPage, page: Page) -> PageSettings:
        return PageSettings(
            name=await self._name(command, page),
            messages_per_second=command.messages_per_second or page.settings.messages_per_second or self._default_pace,
            send_mode=command.send_mode or page.settings.send_mode,
        )

    async def _name(self, command: PutPage, page: Page) -> str:
        """Return the name as it is stored: sealed, unless a server of the earlier release runs, which shows it."""
        names, stored = self._vault.labels.page_names, page.settings.name
        if not command.name or names.matches(command.name, stored, page.id):
            return stored
        return command.name if await self._log.read(older_release_is_running) else names.seal(command.name, page.id)


def _stored_warnings(answer: Mapping[str, Any]) -> Sequence[str]:
    warnings: Sequence[str] = answer["warnings"]
    return warnings


class PageHoldService:
    """Holds and releases pages."""

    def __init__(self, log: EventLog, vault: Vault, now: Callable[[], datetime]) -> None:
        self._log = log
        self._vault = vault
        self._now = now

    async def hold(self, command: HoldPage) -> PageRow:
        """Hold a page on a caller's request.

        Raises PageNotFound, PageNotYours, RequestIdReused, Aborted, Unavailable.
        """
        key = self._vault.payload_key if command.reason else b""  # so that the stored hash does not allow guesses
        stamp = stamp_for(HOLD, command, PayloadHash(command, key).hexdigest())
        reason = self._vault.labels.hold_reasons.seal(command.reason, command.page_id)
        hold = Hold(reason=reason, held_by=command.owner)
        return await self._change(command, stamp, lambda page: pages.hold(page, hold, request=stamp, now=self._now()))

    async def release(self, command: ReleasePage) -> PageRow:
        """Release a page, and end its pause.

        Raises PageNotFound, PageNotYours, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for(RELEASE, command, PayloadHash(command).hexdigest())
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
        """Hold a page because of a fault, if its token is still the one that failed; raises Aborted, Unavailable."""
        await _change(
            self._log,
            ANY_OWNER,
            page_id,
            None,
            lambda page: pages.hold_for_fault(page, fault, token_generation=token_generation, now=self._now()),
            self._also,
        )

    async def _change(
        self, command: HoldPage | ReleasePage, stamp: RequestStamp | None, decide: DecideChange
    ) -> PageRow:
        wanted = owner_filter(command)
        await _change(self._log, wanted, command.page_id, stamp, decide, self._also)
        return await _load_row(self._log, wanted, command.page_id)

    async def _also(self, page: Page, events: Sequence[PageEvent]) -> AlsoWrite:
        return combine(await self._reseal_secrets(page, events), _end_pause(page, events))

    async def _reseal_secrets(self, page: Page, events: Sequence[PageEvent]) -> AlsoWrite:
        """Seal the page's secrets again if its token generation changes, because they are sealed together with it."""
        generation = pages.apply(page, events).token_generation
        if generation == page.token_generation:
            return _write_nothing
        stored = await self._log.read(self._vault.page_secrets(page.id))
        return self._vault.save_page_secrets(page.id, stored.secrets, generation) if stored else _write_nothing


def _end_pause(page: Page, events: Sequence[PageEvent]) -> AlsoWrite:
    """Clear the page's pause if it is released."""
    if not any(isinstance(event, PageReleased) for event in events):
        return _write_nothing
    return lambda sql: clear_retry_after(sql, page.id)


def _write_nothing(_: Sql) -> None:
    pass


class PageShareService:
    """Changes which callers may use a page."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def share(self, command: SharePage) -> PageRow:
        """Share a page with the named callers, and with no others.

        Raises PageNotFound, PageNotYours, PageNotYoursToShare, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for(SHARE, command, PayloadHash(command).hexdigest())
        wanted = owner_filter(command)
        await _change(self._log, wanted, command.page_id, stamp, lambda page: self._shared(page, command, stamp))
        return await _load_row(self._log, wanted, command.page_id)

    def _shared(self, page: Page, command: SharePage, stamp: RequestStamp | None) -> Sequence[PageEvent]:
        if not page.may_be_shared_by(owner_filter(command)):
            raise PageNotYoursToShare(page.id)
        return pages.share(page, command.shared_with, requested_by=command.owner, request=stamp, now=self._now())

    async def transfer(self, command: TransferPage) -> PageRow:
        """Give a page to another owner. The scope check lets only admins call this.

        Raises PageNotFound, RequestIdReused, Aborted, Unavailable.
        """
        stamp = stamp_for(TRANSFER, command, PayloadHash(command).hexdigest())

        def decide(page: Page) -> Sequence[PageEvent]:
            return pages.transfer(page, command.new_owner, requested_by=command.owner, request=stamp, now=self._now())

        await _change(self._log, owner_filter(command), command.page_id, stamp, decide)
        return await _load_row(self._log, ANY_OWNER, command.page_id)  # its former owner may not use it any more


async def _change(
    log: EventLog,
    wanted: str,
    page_id: str,
    stamp: RequestStamp | None,
    decide: DecideChange,
    also: Also | None = None,
) -> None:
    """Append what is decided, unless the request was carried out before. `wanted` is an owner or ANY_OWNER.

    Raises PageNotFound for a page that this owner may not use, PageNotYours for one that this owner may use but not
    change, RequestIdReused, Aborted, Unavailable, and what `decide` raises.
    """

    async def decision() -> Decision[None]:
        page = await _load_page(log, page_id)
        _check_may_be_changed(page, wanted)
        events = decide(page)
        if not events:
            return Decision(None)
        appends = [StreamEvents(page_stream(page_id), page.version, events)]
        return Decision(None, Commit(appends, also=await also(page, events) if also else None))

    await commit_once(log, stamp, decision, lambda _: None, _changed_too_often(page_id))


async def _load_page(log: EventLog, page_id: str) -> Page:
    return pages.fold(page_id, await log.load(page_stream(page_id)))


def _check_may_be_changed(page: Page, wanted: str) -> None:
    if not page.is_registered or not page.is_open_to(wanted):
        raise PageNotFound(page.id)
    if not page.may_be_changed_by(wanted):
        raise PageNotYours(page.id)


async def _load_row(log: EventLog, wanted: str, page_id: str) -> PageRow:
    """Return a page after a change; raises PageNotFound if this owner may not use it."""
    row = await log.read(lambda sql: find(sql, page_id))
    if row is None or not row.is_open_to(wanted):
        raise PageNotFound(page_id)
    return row


def _changed_too_often(page_id: str) -> Aborted:
    return Aborted("the page changed too often during the request", page_id=page_id)
