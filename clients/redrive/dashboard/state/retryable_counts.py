"""The numbers of retryable recipients: read for one message at a time, and cached."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from redrive.client import Client
from redrive.dashboard.state.server_status import is_unreachable
from redrive.errors import RedriveError
from redrive.v1.message_pb2 import Message

_MAX_CONCURRENT = 4
_MAX_CACHED = 5_000


def _stamp(message: Message) -> tuple[object, ...]:
    """Return a value that changes whenever the count may change."""
    return message.update_time.seconds, message.update_time.nanos, message.HasField("page_hold")


def _has_failures(message: Message) -> bool:
    return bool(message.counts.failed + message.counts.unconfirmed)


class RetryableCounts:
    """The counts that the tabs of one caller share."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, tuple[tuple[object, ...], int | None]] = {}
        self._visible: dict[object, Sequence[Message]] = {}

    def known(self, message: Message) -> int | None:
        """Return the last known count; None if it is unknown or the server does not give it."""
        if not _has_failures(message):
            return 0
        found = self._known.get(message.id)
        return None if found is None else found[1]

    def set_visible_messages(self, tab: object, messages: Sequence[Message]) -> None:
        """Set the messages that a tab shows, for `refresh_one`."""
        self._visible[tab] = messages

    def forget_tab(self, tab: object) -> None:
        """Forget the messages of a closed tab."""
        self._visible.pop(tab, None)

    async def load(self, messages: Iterable[Message], found: Callable[[], None]) -> None:
        """Read all counts that are unknown or outdated; call `found` after each."""
        free = asyncio.Semaphore(_MAX_CONCURRENT)

        async def read(message: Message) -> None:
            async with free:
                await self._read(message)
            found()

        await asyncio.gather(*[read(message) for message in messages if self._is_outdated(message)])

    async def refresh_one(self) -> None:
        """Read one outdated count of the visible messages."""
        for message in chain.from_iterable(self._visible.values()):
            if self._is_outdated(message):
                await self._read(message)
                return

    def _is_outdated(self, message: Message) -> bool:
        stamp, _ = self._known.get(message.id, ((), None))
        return _has_failures(message) and stamp != _stamp(message)

    async def _read(self, message: Message) -> None:
        count: int | None = None
        try:
            count = (await self._client.list_failed(message.id, page_size=1).page()).retryable_count
        except RedriveError as error:
            if is_unreachable(error):
                return  # read again later
        if len(self._known) >= _MAX_CACHED:
            self._known.clear()
        self._known[message.id] = (_stamp(message), count)
