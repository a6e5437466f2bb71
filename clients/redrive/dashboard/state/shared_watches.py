"""Watches of messages that tabs share: one WatchProgress per message, however many tabs show it."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from redrive.dashboard.state.server_status import ServerStatus
from redrive.errors import RedriveError
from redrive.v1.delivery_service_pb2 import WatchProgressResponse
from redrive.v1.progress_pb2 import Progress

OpenWatch = Callable[[str], AsyncGenerator[WatchProgressResponse, None]]
REOPEN_SECONDS = 2.0  # seconds until a finished watch is opened again: a resend may continue the message


class _SharedWatch:
    def __init__(self) -> None:
        self.followers: dict[object, Callable[[Progress], None]] = {}
        self.latest: Progress | None = None
        self.task: asyncio.Task[None] | None = None


class SharedWatches:
    """Opens a watch for the first follower of a message, and ends it with the last."""

    def __init__(self, open_watch: OpenWatch, server_status: ServerStatus, *, pause: float = REOPEN_SECONDS) -> None:
        self._open = open_watch
        self._server_status = server_status
        self._pause = pause
        self._watches: dict[str, _SharedWatch] = {}

    def follow(self, message_id: str, show: Callable[[Progress], None]) -> Callable[[], None]:
        """Pass the latest progress, if known, and each change to `show`; the function returned ends this."""
        shared = self._watches.setdefault(message_id, _SharedWatch())
        key = object()
        shared.followers[key] = show
        if shared.latest is not None:
            show(shared.latest)
        if shared.task is None:
            shared.task = asyncio.create_task(self._watch(message_id, shared))
        return lambda: self._leave(message_id, key)

    def close(self) -> None:
        """End all watches."""
        for shared in self._watches.values():
            _end(shared)
        self._watches.clear()

    def _leave(self, message_id: str, key: object) -> None:
        shared = self._watches.get(message_id)
        if shared is None or shared.followers.pop(key, None) is None or shared.followers:
            return
        del self._watches[message_id]
        _end(shared)

    async def _watch(self, message_id: str, shared: _SharedWatch) -> None:
        while True:
            try:
                async for response in self._open(message_id):
                    self._server_status.record_response()
                    shared.latest = response.progress
                    for show in list(shared.followers.values()):
                        show(response.progress)
            except RedriveError as error:
                self._server_status.record_error(error)
            await asyncio.sleep(self._pause)


def _end(shared: _SharedWatch) -> None:
    if shared.task is not None:
        shared.task.cancel()
