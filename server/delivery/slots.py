"""Slots: how many requests may be in flight, of one page and of all together."""

import asyncio
import time

from server.delivery.pacer import wait

PAGE_SLOTS = 64  # requests in flight per page
ALL_SLOTS = 480  # of this process: below the client's 500 connections, so that no request waits for one
LOOK_SECONDS = 0.005  # between two looks while all are taken


class Slots:
    """Counts requests in flight; a page's slots are also slots of the whole process."""

    def __init__(self, limit: int, whole: "Slots | None" = None) -> None:
        self._free = limit
        self._whole = whole

    @property
    def is_free(self) -> bool:
        """One more request may leave."""
        return self._free > 0 and (self._whole is None or self._whole.is_free)

    async def take(self, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Waits for a slot; False after a halt, or when it takes longer than `within` seconds."""
        deadline = time.monotonic() + within
        while not self.is_free:
            if halt.is_set() or time.monotonic() > deadline:
                return False
            await wait(halt, LOOK_SECONDS)
        self._occupy()
        return True

    def _occupy(self) -> None:
        self._free -= 1
        if self._whole is not None:
            self._whole._occupy()  # noqa: SLF001 - the same class

    def give_back(self) -> None:
        """A request has its answer, or did not leave."""
        self._free += 1
        if self._whole is not None:
            self._whole.give_back()
