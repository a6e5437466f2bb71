"""Hold decisions: when requests of a page fail for a page-wide reason, the page is put on hold."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from domain.fault import ErrorType, Fault
from domain.outcome import Outcome
from domain.page_faults import PageFaultDetector
from server.commands.pages import PageHoldService
from server.crypto.vault import Vault
from server.eventstore.commit import EventLog
from server.messenger.channel import Channel, PageCredentials

logger = structlog.get_logger()


class HoldableWorker(Protocol):
    """What a hold needs of the page's worker."""

    @property
    def credentials(self) -> PageCredentials:
        """Return the credentials that requests use now."""
        ...

    def hold(self) -> None:
        """Let no further request leave."""
        ...

    async def on_hold_recorded(self) -> None:
        """Read the page again after the attempt to record a hold; raises Unavailable."""
        ...


class PageHold:
    """Whether a page is on hold for its worker; requests a hold when outcomes show a page-wide fault."""

    def __init__(self, faults: PageFaultDetector, request_hold: Callable[[Fault, int], None]) -> None:
        self._faults = faults
        self._request_hold = request_hold
        self.is_recorded = False
        self.is_requested = False

    @property
    def is_active(self) -> bool:
        """Return whether no request may leave: the hold is recorded, or was requested."""
        return self.is_recorded or self.is_requested

    def observe(self, outcome: Outcome, sent_with: int, current: int) -> None:
        """Take in an outcome; `sent_with` and `current` are generations of the page's token.

        A fault of a replaced token does not hold the page.
        """
        fault = self._faults.observe(outcome, sent_with)
        if fault is not None and not self.is_active and sent_with == current:
            self.is_requested = True
            self._request_hold(fault, sent_with)


class PageHolds:
    """Puts the pages of this process on hold; `workers` are its running workers by page."""

    def __init__(
        self,
        log: EventLog,
        vault: Vault,
        channel: Channel,
        now: Callable[[], datetime],
        workers: Mapping[str, HoldableWorker],
        spawn_background: Callable[[Awaitable[object]], None],
        wake: Callable[[], None],
    ) -> None:
        self._service = PageHoldService(log, vault, now)
        self._channel = channel
        self._workers = workers
        self._spawn_background = spawn_background
        self._wake = wake
        self._faults: dict[str, PageFaultDetector] = {}  # outlives the page's workers

    def for_new_worker(self, page_id: str) -> PageHold:
        """Return the hold state of a page for a worker that starts."""
        faults = self._faults.setdefault(page_id, PageFaultDetector())
        return PageHold(faults, partial(self._request, page_id))

    def _request(self, page_id: str, fault: Fault, token_generation: int) -> None:
        """Stop the page's requests in this process at once, and for all processes by an event."""
        self._workers[page_id].hold()
        self._spawn_background(self._hold(page_id, fault, token_generation))

    async def _hold(self, page_id: str, fault: Fault, token_generation: int) -> None:
        logger.warning("page_faulty", page=page_id, code=fault.code, subcode=fault.subcode, type=fault.type)
        try:
            confirmed = await self._confirm(page_id, fault)
            if confirmed is not None:
                await self._service.hold_for(page_id, confirmed, token_generation=token_generation)
        finally:
            if page_id in self._workers:
                await self._workers[page_id].on_hold_recorded()
            self._wake()

    async def _confirm(self, page_id: str, fault: Fault) -> Fault | None:
        """Return the fault to hold the page for; None if the platform accepts the token.

        Only a suspected token is checked with the platform. Enough refused sends outweigh the result of that check.
        """
        faults = self._faults[page_id]
        if faults.confirmed is not None or fault.type is not ErrorType.ACCESS_TOKEN:
            return faults.confirmed or fault
        if not await self._is_token_good(page_id):
            return fault
        faults.record_token_accepted()
        return faults.confirmed  # more refusals may have arrived during the check

    async def _is_token_good(self, page_id: str) -> bool:
        """Return whether the platform accepts the page's token in a call that sends nothing."""
        worker = self._workers.get(page_id)
        return worker is not None and await self._channel.is_page_token(worker.credentials)
