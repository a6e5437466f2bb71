"""A page that this process sends for: its credentials, its pace, its ownership."""

import asyncio

from domain.page_events import SendMode
from server.channels.channel import Credentials
from server.delivery.ownership import Ownership
from server.delivery.pacer import Pacer
from server.delivery.slots import Slots


class SendingPage:
    """What every batch of a page shares; credentials and settings are replaced while batches run."""

    def __init__(
        self, page_id: str, pacer: Pacer, slots: Slots, ownership: Ownership, ownership_generation: int
    ) -> None:
        self.page_id = page_id
        self.pacer = pacer
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

    async def clear(self, messages: int, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Waits until a request with so many messages may leave, and takes its slot; False when it may not."""
        if not await self.slots.take(halt, within=within):
            return False
        if await self.pacer.take(messages, halt, within=within):
            return True
        self.slots.give_back()
        return False
