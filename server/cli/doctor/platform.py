"""Checks of the platform: connection, TLS, clock, and the pages' tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from projections.sql import Sql
from server.cli.doctor.database import NO_TABLE, compared
from server.cli.doctor.finding import Finding, ok, problem, warning
from server.crypto.vault import Vault
from server.messenger.channel import PageCredentials, TokenAccepted, TokenRejected
from server.messenger.http import HttpClient, open_client, outcome_without_response, timeout_with_read
from server.messenger.messenger_channel import MessengerChannel
from server.settings import Settings

SECONDS = 10.0


async def examine(settings: Settings) -> Sequence[Finding]:
    """Check the connection, TLS and the clock with one request."""
    request = httpx.Request("GET", settings.graph_url)
    async with open_client(timeout=timeout_with_read(SECONDS)) as client:
        try:
            answer = await client.handle_async_request(request)
        except Exception as error:  # noqa: BLE001 - reported by its cause, without its text
            return [_unreachable(settings, outcome_without_response(error).fault.message)]
    if answer.is_redirect:
        message = "it answers with a redirect, which is not followed, because the token would be sent there"
        return [problem("platform", message, "set REDRIVE_GRAPH_URL to the target, if that is the platform")]
    return [ok("platform", f"{settings.graph_url} answers (HTTP {answer.status_code})"), *_clock(answer.headers)]


def _unreachable(settings: Settings, message: str) -> Finding:
    remedy = f"check {settings.graph_url}, its certificate, and that this machine may connect to it"
    return problem("platform", message, remedy)


def _clock(headers: httpx.Headers) -> Sequence[Finding]:
    try:
        date = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return []
    return [compared("the platform's", datetime.now(UTC) - date.replace(tzinfo=date.tzinfo or UTC))]


async def examine_pages(settings: Settings, sql: Sql, vault: Vault) -> Sequence[Finding]:
    """Try every page's token with one harmless call."""
    async with open_client(timeout=timeout_with_read(SECONDS)) as client:
        return [await _examine_page(client, settings, sql, vault, page_id) for page_id in _page_ids(sql)]


def _page_ids(sql: Sql) -> Sequence[str]:
    """Return the pages; none if the database has no tables yet."""
    try:
        return [row["page_id"] for row in sql.rows("SELECT page_id FROM page_secrets ORDER BY page_id")]
    except NO_TABLE:
        return ()


async def _examine_page(client: HttpClient, settings: Settings, sql: Sql, vault: Vault, page_id: str) -> Finding:
    stored, check = vault.page_secrets(page_id)(sql), f"page {page_id}"
    if stored is None:
        return ok(check, "it has just been removed")
    secrets = stored.secrets
    credentials = PageCredentials(page_id=page_id, access_token=secrets.access_token, app_secret=secrets.app_secret)
    match await MessengerChannel(client, settings.graph_url).check_token(credentials):
        case TokenAccepted():
            return ok(check, "its token is good")
        case TokenRejected(fault):
            message = f"its token is refused: {fault.message} ({fault.code}-{fault.subcode})"
            return problem(check, message, f"`redrive page put {page_id}` with a new token")
        case untried:
            return warning(check, f"its token could not be tried: {untried.reason}", "try again later")
