"""PageWorker: sends the batches of one page."""

import asyncio
from collections.abc import Callable

from domain.stop_policy import Stop
from projections.sealed_names import BatchKey
from server.messenger.channel import PageCredentials
from server.sending.batch_claims import BatchClaimer, ClaimableBatch
from server.sending.batch_sender import BatchSender, HaltReason
from server.sending.message_health import MessageHealthCache
from server.sending.page_state import PageSnapshot, PageState
from server.sending.running_batches import PostponedBatches, RunningBatches

POLL_SECONDS = 1.0  # between two searches for batches that no wake-up announced


class PageWorker:
    """Claims and sends one batch of a page after another until none is left; `on_stop` is asked to stop a message."""

    def __init__(
        self,
        page: PageState,
        claimer: BatchClaimer,
        postponed: PostponedBatches,
        on_stop: Callable[[str, Stop], None],
    ) -> None:
        self._page = page
        self._claimer = claimer
        self._on_stop = on_stop
        self._wakeup = asyncio.Event()
        self._running = RunningBatches(postponed, self._wakeup)
        self._healths = MessageHealthCache(self._stop_message)
        self._claiming: BatchKey | None = None
        self._is_draining = False

    async def run(self) -> None:
        """Work until no batch is left to claim or to finish, another process owns the page, or the drain.

        Raises Unavailable, and what a batch that fails raises.
        """
        try:
            while not (self._is_draining or self._page.is_lost):
                self._wakeup.clear()
                candidate = await self._claimer.find(self._running, self._healths) if self._running.has_room else None
                if candidate is not None:
                    await self._claim_and_send(candidate)
                elif self._running.has_tasks:
                    await self._wait_for_wakeup()
                else:
                    return
        finally:
            await self._running.wait_until_done()

    async def _wait_for_wakeup(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wakeup.wait()
        except TimeoutError:
            return

    async def _claim_and_send(self, candidate: ClaimableBatch) -> None:
        self._claiming = candidate.key
        try:
            await self._page.wait_for_lease()
            self._apply(candidate.page)
            sender = await self._claim(candidate)
        finally:
            self._claiming = None
        if sender is not None:
            await self._running.send(candidate.key, sender)

    async def _claim(self, candidate: ClaimableBatch) -> BatchSender | None:
        """Claim a batch; halt it at once if a drain, a hold or a stop began during the claim."""
        health = self._healths.get(candidate.batch.message_id, candidate.state)
        health.stop_if_due()
        sender = await self._claimer.claim(candidate, health)
        if sender is None:
            return None
        self._running.add(candidate.key, sender)
        if self._is_draining:
            sender.halt(HaltReason.DRAINING)
        elif self._page.hold.is_active:
            sender.halt(HaltReason.PAGE_HELD)
        elif health.is_stopping:
            sender.halt(HaltReason.PAUSED)
        return sender

    # What the dispatcher asks for

    def is_running(self, key: BatchKey) -> bool:
        """Return whether a batch is claimed, or being claimed, by this worker."""
        return key in self._running or key == self._claiming

    @property
    def has_wakeup(self) -> bool:
        """Return whether the worker was woken after its last search for batches."""
        return self._wakeup.is_set()

    def wake(self) -> None:
        """Search for batches now."""
        self._wakeup.set()

    def drain(self) -> None:
        """Claim no further batch, and release the deliveries that have not left."""
        self._is_draining = True
        self._wakeup.set()
        self._running.halt_all(HaltReason.DRAINING)

    def halt(self, message_id: str, reason: HaltReason) -> None:
        """Halt the batches of a message."""
        self._running.halt(message_id, reason)

    def recount(self, message_id: str = "") -> None:
        """Take the attempts of a message, or of all messages, from the database again."""
        if message_id:
            self._healths.forget(message_id)
        else:
            self._healths.forget_all()
        self._wakeup.set()

    def _stop_message(self, message_id: str, reason: Stop) -> None:
        """Halt a message that is to be stopped; not while the page is on hold, which already stops it."""
        if self._page.hold.is_active:
            self._healths.forget(message_id)
            return
        self._running.halt(message_id, HaltReason.PAUSED)
        self._on_stop(message_id, reason)

    # Token, hold and settings of the page

    @property
    def credentials(self) -> PageCredentials:
        """Return the credentials that requests use now."""
        return self._page.credentials

    async def refresh(self) -> None:
        """Read the page's token and settings; requests from now on use them. Raises Unavailable."""
        self._apply(await self._page.load())

    def _apply(self, snapshot: PageSnapshot) -> None:
        if self._page.apply(snapshot):
            self.hold()

    def hold(self) -> None:
        """Let no further request leave, because the page is on hold."""
        self._running.halt_all(HaltReason.PAGE_HELD)

    async def on_hold_recorded(self) -> None:
        """Read the page after a requested hold was recorded, or was not, because the token changed.

        The page counts as held until it is read: otherwise its refusals would also stop a message.
        """
        try:
            await self.refresh()
        finally:
            self._page.hold.is_requested = False
