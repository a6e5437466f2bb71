"""PutPage: a page is registered, its token replaced, its settings changed."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from domain import page as pages
from domain.commands import PutPage
from domain.errors import Aborted, InvalidRequest, PageNotYours, TokenRefused, Violation
from domain.event import RequestStamp
from domain.page import Page, PageSettings
from domain.streams import page_stream
from projections.pages import PageRow
from projections.sql import Sql
from server.channels.channel import Channel, Credentials, TokenAccepted
from server.channels.channel import TokenRefused as Refusal
from server.commands.identity import PayloadHash, first_answer, stamp_for
from server.commands.lookup import find_page, reach
from server.log.commit import Commit, Committed, EventLog, StreamEvents
from server.log.releases import older_lives
from server.log.vault import PageSecrets, Vault

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
        credentials = Credentials(
            page_id=command.page_id, access_token=secrets.access_token, app_secret=secrets.app_secret
        )
        checked = await self._channel.check_token(credentials)
        if isinstance(checked, Refusal):
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
        return command.name if await self._log.read(older_lives) else names.seal(command.name, page.id)


def _answered(stamp: RequestStamp | None, warnings: Sequence[str]) -> RequestStamp | None:
    return stamp and msgspec.structs.replace(stamp, answer={"warnings": list(warnings)})
