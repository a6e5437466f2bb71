"""The progress of messages: one WatchProgress for each message that somebody looks at, however many tabs do."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from redrive.dashboard.presence import Presence
from redrive.errors import RedriveError
from redrive.v1.delivery_service_pb2 import WatchProgressResponse
from redrive.v1.progress_pb2 import Progress

Open = Callable[[str], AsyncGenerator[WatchProgressResponse, None]]
PAUSE = 2.0  # seconds until a message that is done is looked at again: a resend makes it go on


class _Watched:
    def __init__(self) -> None:
        self.followers: dict[object, Callable[[Progress], None]] = {}
        self.latest: Progress | None = None
        self.task: asyncio.Task[None] | None = None


class ProgressHub:
    """Opens a watch when the first comes, and ends it when the last leaves."""

    def __init__(self, open_watch: Open, presence: Presence, *, pause: float = PAUSE) -> None:
        self._open = open_watch
        self._presence = presence
        self._pause = pause
        self._watched: dict[str, _Watched] = {}

    def follow(self, message_id: str, show: Callable[[Progress], None]) -> Callable[[], None]:
        """Shows the latest at once, where there is one, and each change; ends when the answer is called."""
        watched = self._watched.setdefault(message_id, _Watched())
        key = object()
        watched.followers[key] = show
        if watched.latest is not None:
            show(watched.latest)
        if watched.task is None:
            watched.task = asyncio.create_task(self._watch(message_id, watched))
        return lambda: self._leave(message_id, key)

    def close(self) -> None:
        """Ends all watches."""
        for watched in self._watched.values():
            _end(watched)
        self._watched.clear()

    def _leave(self, message_id: str, key: object) -> None:
        watched = self._watched.get(message_id)
        if watched is None or watched.followers.pop(key, None) is None or watched.followers:
            return
        del self._watched[message_id]
        _end(watched)

    async def _watch(self, message_id: str, watched: _Watched) -> None:
        while True:
            try:
                async for answer in self._open(message_id):
                    self._presence.answered()
                    watched.latest = answer.progress
                    for show in list(watched.followers.values()):
                        show(answer.progress)
            except RedriveError as error:
                self._presence.failed(error)
            await asyncio.sleep(self._pause)


def _end(watched: _Watched) -> None:
    if watched.task is not None:
        watched.task.cancel()
