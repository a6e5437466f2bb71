"""The server as one caller sees it: the client, and what that caller's tabs share."""

import asyncio
from collections.abc import Callable

from redrive.dashboard.live_reads import LiveReads
from redrive.dashboard.presence import Presence
from redrive.dashboard.progress_hub import ProgressHub
from redrive.dashboard.retryable_counts import RetryableCounts
from redrive.dashboard.settings import DashboardSettings
from redrive.errors import PermissionDenied, RedriveError
from redrive.v1.page_pb2 import Page

_CHECKED_FOR = 60.0  # seconds: a server may be started anew with other rules


class Backend:
    """One caller's connection; all tabs with the same token share it."""

    def __init__(self, settings: DashboardSettings, token: str | None) -> None:
        self.client = settings.connect(token)
        self.presence = Presence()
        self.reads = LiveReads(self.presence)
        self.progress = ProgressHub(self.client.watch_progress, self.presence)
        self.retryable = RetryableCounts(self.client)
        self._checked_at: float | None = None
        self._tabs: dict[object, Callable[[], None]] = {}

    async def check(self) -> None:
        """Makes sure, now and then, that the server takes this caller's calls. Raises RedriveError."""
        now = asyncio.get_running_loop().time()
        if self._checked_at is not None and now < self._checked_at + _CHECKED_FOR:
            return
        try:
            await self.client.list_messages(page_size=1).page()
        except PermissionDenied:
            pass  # a known caller, who may do other things
        except RedriveError as error:
            self._checked_at = None
            self.presence.failed(error)
            raise
        self._checked_at = now
        self.presence.answered()

    async def pages(self) -> list[Page]:
        """Every page of the platform that the caller may see, by id."""
        return [page async for page in self.client.list_pages()]

    def on_close(self, leave: Callable[[], None]) -> Callable[[], None]:
        """Called when this caller has logged out; ends when the answer is called."""
        key = object()
        self._tabs[key] = leave
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        self._tabs.pop(key, None)

    async def close(self) -> None:
        """Ends everything that is under way, and sends the open tabs away."""
        for leave in list(self._tabs.values()):
            leave()
        self.reads.close()
        self.progress.close()
        await self.client.close()
