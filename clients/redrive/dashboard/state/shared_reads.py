"""Repeated reads that tabs share: at most one read per second for each kind of page, however many tabs are open."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

import grpc

from redrive.dashboard.state.server_status import ServerStatus
from redrive.errors import DeadlineExceeded, RedriveError

Response = TypeVar("Response")
READ_INTERVAL = 1.0  # seconds between two reads
READ_TIMEOUT = 8.0  # seconds for one read; a server that is silent for longer counts as unreachable


class SharedRead(Generic[Response]):
    """A read, and its followers."""

    def __init__(self, read: Callable[[], Awaitable[Response]], server_status: ServerStatus) -> None:
        self._read = read
        self._server_status = server_status
        self.followers: dict[object, tuple[Callable[[Response], None], Callable[[RedriveError], None]]] = {}

    async def refresh(self) -> None:
        """Read once, and pass the response or the error to all followers."""
        try:
            response = await self._read_within_timeout()
        except RedriveError as error:
            self._server_status.record_error(error)
            for _, fail in list(self.followers.values()):
                fail(error)
            return
        self._server_status.record_response()
        for show, _ in list(self.followers.values()):
            show(response)

    async def _read_within_timeout(self) -> Response:
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                return await self._read()
        except TimeoutError as silence:
            text = f"The server sent nothing for {READ_TIMEOUT:g} s."
            raise DeadlineExceeded(text, code=grpc.StatusCode.DEADLINE_EXCEEDED) from silence


class _ReadCycle:
    """Repeats the reads of one kind of page, one after another."""

    def __init__(self, server_status: ServerStatus, interval: float) -> None:
        self._server_status = server_status
        self._interval = interval
        self._shared_reads: dict[Hashable, SharedRead[Any]] = {}
        self._queue: deque[Hashable] = deque()
        self._task: asyncio.Task[None] | None = None

    def shared_read(self, key: Hashable, read: Callable[[], Awaitable[Any]]) -> SharedRead[Any]:
        """Return the read with this key; a new one joins the cycle."""
        if key not in self._shared_reads:
            self._shared_reads[key] = SharedRead(read, self._server_status)
            self._queue.append(key)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._shared_reads[key]

    def read_next(self, key: Hashable) -> None:
        """Move this key to the front of the queue."""
        if key in self._shared_reads:
            self._queue.remove(key)
            self._queue.appendleft(key)

    def leave(self, key: Hashable, follower: object) -> None:
        """Remove a follower; a read without followers ends."""
        shared_read = self._shared_reads.get(key)
        if shared_read is None or shared_read.followers.pop(follower, None) is None or shared_read.followers:
            return
        del self._shared_reads[key]
        self._queue.remove(key)

    def close(self) -> None:
        """End all reads."""
        self._shared_reads.clear()
        self._queue.clear()

    async def _run(self) -> None:
        try:
            while self._queue:
                await asyncio.sleep(self._interval)
                if self._queue:
                    self._queue.rotate(-1)
                    await self._shared_reads[self._queue[-1]].refresh()
        finally:
            self._task = None


class SharedReads:
    """Equal keys share a read. The first part of a key is the kind of page."""

    def __init__(self, server_status: ServerStatus, *, interval: float = READ_INTERVAL) -> None:
        self._server_status = server_status
        self._interval = interval
        self._cycles: dict[str, _ReadCycle] = {}

    def follow(
        self,
        key: tuple[Hashable, ...],
        read: Callable[[], Awaitable[Response]],
        show: Callable[[Response], None],
        fail: Callable[[RedriveError], None],
    ) -> Callable[[], None]:
        """Pass each response to `show`, from the next read on; the function returned ends this."""
        cycle = self._cycle(key)
        follower = object()
        cycle.shared_read(key, read).followers[follower] = (show, fail)
        return lambda: cycle.leave(key, follower)

    def read_next(self, *keys: tuple[Hashable, ...]) -> None:
        """Read these keys next, because their data has changed."""
        for key in reversed(keys):
            self._cycle(key).read_next(key)

    def close(self) -> None:
        """End all reads."""
        for cycle in self._cycles.values():
            cycle.close()

    def _cycle(self, key: tuple[Hashable, ...]) -> _ReadCycle:
        return self._cycles.setdefault(str(key[0]), _ReadCycle(self._server_status, self._interval))
