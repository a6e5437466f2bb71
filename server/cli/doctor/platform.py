"""The platform: does it answer, over TLS that can be trusted, with a clock like ours, and does it take the tokens?"""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from projections.sql import Sql
from server.cli.doctor.database import NOT_THERE, compared
from server.cli.doctor.finding import Finding, ok, problem, warning
from server.crypto.vault import Vault
from server.messenger.channel import Credentials, TokenAccepted, TokenRefused
from server.messenger.http import HttpClient, answered_within, no_answer, open_client
from server.messenger.messenger_channel import MessengerChannel
from server.settings import Settings

SECONDS = 10.0


async def examine(settings: Settings) -> Sequence[Finding]:
    """What any request shows."""
    request = httpx.Request("GET", settings.graph_url)
    async with open_client(timeout=answered_within(SECONDS)) as client:
        try:
            answer = await client.handle_async_request(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said in words that show no more than is meant
            return [_unreachable(settings, no_answer(error).fault.message)]
    if answer.is_redirect:
        words = "it answers with a redirect, which is never followed: a token would go there"
        return [problem("platform", words, "set REDRIVE_GRAPH_URL to where it leads, if that is the platform")]
    return [ok("platform", f"{settings.graph_url} answers (HTTP {answer.status_code})"), *_clock(answer.headers)]


def _unreachable(settings: Settings, words: str) -> Finding:
    mend = (
        f"see that {settings.graph_url} is right, that this machine may connect to it, and that its certificate is good"
    )
    return problem("platform", words, mend)


def _clock(headers: httpx.Headers) -> Sequence[Finding]:
    try:
        told = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return []
    return [compared("the platform's", datetime.now(UTC) - told.replace(tzinfo=told.tzinfo or UTC))]


async def examine_pages(settings: Settings, sql: Sql, vault: Vault) -> Sequence[Finding]:
    """Tries every page's token with one harmless call."""
    async with open_client(timeout=answered_within(SECONDS)) as client:
        return [await _examine_page(client, settings, sql, vault, page_id) for page_id in _page_ids(sql)]


def _page_ids(sql: Sql) -> Sequence[str]:
    """None in a database that no server has made its tables in yet."""
    try:
        return [row["page_id"] for row in sql.rows("SELECT page_id FROM page_secrets ORDER BY page_id")]
    except NOT_THERE:
        return ()


async def _examine_page(client: HttpClient, settings: Settings, sql: Sql, vault: Vault, page_id: str) -> Finding:
    kept, check = vault.page_secrets(page_id)(sql), f"page {page_id}"
    if kept is None:
        return ok(check, "it has just gone")
    secrets = kept.secrets
    credentials = Credentials(page_id=page_id, access_token=secrets.access_token, app_secret=secrets.app_secret)
    match await MessengerChannel(client, settings.graph_url).check_token(credentials):
        case TokenAccepted():
            return ok(check, "its token is good")
        case TokenRefused(fault):
            words = f"its token is refused: {fault.message} ({fault.code}-{fault.subcode})"
            return problem(check, words, f"`redrive page put {page_id}` with a new token")
        case untried:
            return warning(check, f"its token could not be tried: {untried.reason}", "try again later")
