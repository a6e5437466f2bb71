"""A page that this process sends for: its credentials, its pace, its ownership."""

import asyncio
from collections.abc import Callable

import structlog

from domain.fault import Fault
from domain.page_events import SendMode
from domain.page_faults import PageFaultDetector
from server.cluster.page_leases import PageLeases
from server.messenger.channel import Attempted, Credentials
from server.sending.concurrency_limiter import FairConcurrencyLimiter
from server.sending.rate_limiter import AdaptiveRateLimiter

logger = structlog.get_logger()


class SendingPage:
    """What every batch of a page shares; credentials and settings are replaced while batches run."""

    def __init__(
        self,
        page_id: str,
        pacer: AdaptiveRateLimiter,
        faults: PageFaultDetector,
        slots: FairConcurrencyLimiter,
        ownership: PageLeases,
        ownership_generation: int,
        on_fault: Callable[[Fault, int], None],
    ) -> None:
        self.page_id = page_id
        self.pacer = pacer
        self.hold_is_recorded = False
        self.asks_for_hold = False
        self._faults = faults
        self._on_fault = on_fault
        self.slots = slots
        self.ownership_generation = ownership_generation
        self.credentials = Credentials(page_id=page_id, access_token="")
        self.token_generation = 0
        self.send_mode = SendMode.SINGLE
        self._ownership = ownership

    @property
    def worker(self) -> str:
        """The process that sends."""
        return self._ownership.worker

    @property
    def term(self) -> int:
        """The lease's; a page may go to another process between two terms."""
        return self._ownership.term

    def is_held(self, term: int) -> bool:
        """The process's lease is good, and has been since: asked before each request (protocol rule 6)."""
        return self._ownership.is_held and self._ownership.term == term

    @property
    def is_on_hold(self) -> bool:
        """Nothing more may leave: by an event that is there, or is on its way."""
        return self.hold_is_recorded or self.asks_for_hold

    def heed(self, attempted: Attempted, token_generation: int) -> None:
        """Takes in what became of an attempt: for the pace, and for the page as a whole."""
        self.pacer.heed(attempted)
        fault = self._faults.observe(attempted.outcome, token_generation)
        if fault is not None and not self.is_on_hold and token_generation == self.token_generation:
            self.asks_for_hold = True
            self._on_fault(fault, token_generation)

    def lack(self, reason: str) -> None:
        """Let nothing leave for a while: this machine lacks the means to send."""
        if seconds := self.pacer.lack():
            logger.warning("page_lacks_means", page=self.page_id, reason=reason, next_try_seconds=seconds)

    async def clear(self, messages: int, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Waits until a request with so many messages may leave, and takes its slot; False when it may not."""
        if not await self.slots.take(halt, within=within):
            return False
        if await self.pacer.take(messages, halt, within=within):
            return True
        self.slots.give_back()
        return False
