"""PageState: what this process knows of a page that it sends for."""

import asyncio
import time
from datetime import timedelta
from typing import NamedTuple

import structlog

from domain.page_events import SendMode
from projections import pages
from projections.pages import PageRow
from projections.sql import Sql
from server.cluster.page_leases import PageLeases, paused_for
from server.crypto.vault import StoredPageSecrets, Vault
from server.eventstore.commit import EventLog
from server.messenger.channel import PageCredentials, SendResult
from server.sending.concurrency_limiter import MAX_PAGE_GRAPH_BATCHES, MAX_PAGE_REQUESTS, FairConcurrencyLimiter
from server.sending.page_holds import PageHold
from server.sending.rate_limiter import AdaptiveRateLimiter

logger = structlog.get_logger()


class PageSnapshot(NamedTuple):
    """A page's stored secrets, its settings and the seconds left of its pause.

    `read_at` is the monotonic time before the read.
    """

    stored: StoredPageSecrets | None
    row: PageRow | None
    pause_seconds: float
    read_at: float


class PageState:
    """A page's token, hold, settings, limits and ownership, shared by all of its batches.

    Token and settings are replaced while batches run.
    """

    def __init__(
        self,
        page_id: str,
        log: EventLog,
        vault: Vault,
        hold: PageHold,
        rate_limiter: AdaptiveRateLimiter,
        request_limiter: FairConcurrencyLimiter,
        leases: PageLeases,
        ownership_generation: int,
    ) -> None:
        self.page_id = page_id
        self._log = log
        self._vault = vault
        self.hold = hold
        self.rate_limiter = rate_limiter
        self.request_limiter = request_limiter
        self._leases = leases
        self.ownership_generation = ownership_generation
        self.is_lost = False  # another process owns the page
        self.credentials = PageCredentials(page_id=page_id, access_token="")
        self.token_generation = 0
        self.send_mode = SendMode.SINGLE

    # Token, hold and settings

    def read(self, sql: Sql, row: PageRow | None, read_at: float) -> PageSnapshot:
        """Return the page's secrets and settings for a row that was read in the same transaction."""
        pause_seconds = 0.0 if row is None else paused_for(sql, row)
        return PageSnapshot(self._vault.page_secrets(self.page_id)(sql), row, pause_seconds, read_at)

    async def load(self) -> PageSnapshot:
        """Read the page's secrets and settings; raises Unavailable."""
        now = time.monotonic()
        return await self._log.read(lambda sql: self.read(sql, pages.find(sql, self.page_id), now))

    def apply(self, snapshot: PageSnapshot) -> bool:
        """Use a token and settings from now on; return whether the page is on hold by an event.

        A snapshot with an older token than the current one has no effect. Raises LookupError for an unknown page.
        """
        stored, row, pause_seconds, read_at = snapshot
        if stored is None or row is None:
            raise LookupError(f"page {self.page_id!r} has batches to send but is not registered")
        if stored.token_generation < self.token_generation:
            return False
        self.credentials = PageCredentials(
            page_id=self.page_id, access_token=stored.secrets.access_token, app_secret=stored.secrets.app_secret
        )
        self.token_generation = stored.token_generation
        self.hold.is_recorded = row.is_held
        self.send_mode = row.send_mode
        self.request_limiter.limit = MAX_PAGE_GRAPH_BATCHES if row.send_mode is SendMode.BATCH else MAX_PAGE_REQUESTS
        self.rate_limiter.set_limit(row.messages_per_second)
        self.rate_limiter.pause_for(pause_seconds, read_at=read_at)
        return row.is_held

    def observe_result(self, result: SendResult, token_generation: int) -> None:
        """Adapt the rate to the result of an attempt, and request a hold if it shows a page-wide fault."""
        self.rate_limiter.observe_result(result)
        self.hold.observe(result.outcome, token_generation, self.token_generation)

    # Limits

    async def acquire(self, messages: int, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Wait until a request with so many messages may leave, and count it; False after a halt or `within` seconds.

        The caller returns the request with `request_limiter.release`.
        """
        if not await self.request_limiter.acquire(halt, within=within):
            return False
        if await self.rate_limiter.acquire(messages, halt, within=within):
            return True
        self.request_limiter.release()
        return False

    def pause_after_shortage(self, reason: str) -> None:
        """Let no request leave for a while, because this machine lacks a resource to send."""
        if seconds := self.rate_limiter.pause_after_shortage():
            logger.warning("page_lacks_means", page=self.page_id, reason=reason, next_try_seconds=seconds)

    # Ownership

    @property
    def worker(self) -> str:
        """Return the id of this process."""
        return self._leases.worker

    @property
    def batch_lease(self) -> timedelta:
        """Return how long a claim is valid without a sign of life."""
        return self._leases.batch_lease

    @property
    def lease_term(self) -> int:
        """Return the number of the lease's current term; the page may change its owner between two terms."""
        return self._leases.term

    def holds_lease(self, term: int) -> bool:
        """Return whether the lease has been valid since that term.

        Each request checks this before it leaves (protocol rule 6).
        """
        return self._leases.is_held and self._leases.term == term

    async def wait_for_lease(self) -> None:
        """Wait until this process's lease is valid."""
        await self._leases.wait_until_held()

    def lose(self) -> None:
        """Note that another process owns the page."""
        self._leases.forget_page(self.page_id)
        self.is_lost = True
