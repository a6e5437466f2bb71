"""How many of a message's recipients a plain resend would take: asked for one message at a time, and kept."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from redrive.client import Client
from redrive.dashboard.presence import is_away
from redrive.errors import RedriveError
from redrive.v1.message_pb2 import Message

_AT_ONCE = 4
_KEPT = 5_000


def _stamp(message: Message) -> tuple[object, ...]:
    """Changes with everything that changes the count."""
    return message.update_time.seconds, message.update_time.nanos, message.HasField("page_hold")


def _has_failures(message: Message) -> bool:
    return bool(message.counts.failed + message.counts.unconfirmed)


class RetryableCounts:
    """Shared by a caller's tabs."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, tuple[tuple[object, ...], int | None]] = {}
        self._looked_at: dict[object, Sequence[Message]] = {}

    def known(self, message: Message) -> int | None:
        """The count as it was found last; None while it is not known, or where the server does not tell it."""
        if not _has_failures(message):
            return 0
        found = self._known.get(message.id)
        return None if found is None else found[1]

    def look_at(self, tab: object, messages: Sequence[Message]) -> None:
        """These are what a tab shows now: `renew_one` takes care of them."""
        self._looked_at[tab] = messages

    def look_away(self, tab: object) -> None:
        """The tab is gone."""
        self._looked_at.pop(tab, None)

    async def fill(self, messages: Iterable[Message], found: Callable[[], None]) -> None:
        """Asks for all that are not known, or have changed; calls `found` after each."""
        free = asyncio.Semaphore(_AT_ONCE)

        async def ask(message: Message) -> None:
            async with free:
                await self._ask(message)
            found()

        await asyncio.gather(*[ask(message) for message in messages if self._is_asked_for(message)])

    async def renew_one(self) -> None:
        """Asks anew for one that has changed, of those that tabs look at."""
        for message in chain.from_iterable(self._looked_at.values()):
            if self._is_asked_for(message):
                await self._ask(message)
                return

    def _is_asked_for(self, message: Message) -> bool:
        stamp, _ = self._known.get(message.id, ((), None))
        return _has_failures(message) and stamp != _stamp(message)

    async def _ask(self, message: Message) -> None:
        count: int | None = None
        try:
            count = (await self._client.list_failed(message.id, page_size=1).page()).retryable_count
        except RedriveError as error:
            if is_away(error):
                return  # asked again at the next occasion
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[message.id] = (_stamp(message), count)
