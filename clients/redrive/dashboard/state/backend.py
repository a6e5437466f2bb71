"""The connection of one caller to the server, and what the caller's tabs share."""

import asyncio
from collections.abc import Callable

from redrive.dashboard.settings import DashboardSettings
from redrive.dashboard.state.retryable_counts import RetryableCounts
from redrive.dashboard.state.server_status import ServerStatus
from redrive.dashboard.state.shared_reads import SharedReads
from redrive.dashboard.state.shared_watches import SharedWatches
from redrive.errors import PermissionDenied, RedriveError
from redrive.v1.page_pb2 import Page

_CHECKED_FOR = 60.0  # seconds: the server may restart with other access rules


class Backend:
    """The connection of one caller; all tabs with the same token share it."""

    def __init__(self, settings: DashboardSettings, token: str | None) -> None:
        self.client = settings.connect(token)
        self.server_status = ServerStatus()
        self.reads = SharedReads(self.server_status)
        self.progress = SharedWatches(self.client.watch_progress, self.server_status)
        self.retryable = RetryableCounts(self.client)
        self._checked_at: float | None = None
        self._tabs: dict[object, Callable[[], None]] = {}

    async def check(self) -> None:
        """Check, at most once a minute, that the server accepts this caller. Raises RedriveError."""
        now = asyncio.get_running_loop().time()
        if self._checked_at is not None and now < self._checked_at + _CHECKED_FOR:
            return
        try:
            await self.client.list_messages(page_size=1).page()
        except PermissionDenied:
            pass  # a known caller without the scope for this call
        except RedriveError as error:
            self._checked_at = None
            self.server_status.record_error(error)
            raise
        self._checked_at = now
        self.server_status.record_response()

    async def pages(self) -> list[Page]:
        """Return all pages that the caller may see, by id."""
        return [page async for page in self.client.list_pages()]

    def on_close(self, leave: Callable[[], None]) -> Callable[[], None]:
        """Call `leave` when this caller logs out; the function returned removes the callback."""
        key = object()
        self._tabs[key] = leave
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        self._tabs.pop(key, None)

    async def close(self) -> None:
        """End all reads and calls, and lead the open tabs to the login."""
        for leave in list(self._tabs.values()):
            leave()
        self.reads.close()
        self.progress.close()
        await self.client.close()
