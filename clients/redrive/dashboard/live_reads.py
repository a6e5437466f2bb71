"""What the open tabs look at, read again and again: for each kind of page at most one read a second, whoever looks."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

import grpc

from redrive.dashboard.presence import Presence
from redrive.errors import DeadlineExceeded, RedriveError

Answer = TypeVar("Answer")
SECONDS = 1.0  # between two reads
PATIENCE = 8.0  # seconds for one read; a server that is silent for longer counts as away


class Subject(Generic[Answer]):
    """A read, and those who want its answers."""

    def __init__(self, read: Callable[[], Awaitable[Answer]], presence: Presence) -> None:
        self._read = read
        self._presence = presence
        self.followers: dict[object, tuple[Callable[[Answer], None], Callable[[RedriveError], None]]] = {}

    async def refresh(self) -> None:
        """Reads once, and shows everybody what came."""
        try:
            answer = await self._within_patience()
        except RedriveError as error:
            self._presence.failed(error)
            for _, fail in list(self.followers.values()):
                fail(error)
            return
        self._presence.answered()
        for show, _ in list(self.followers.values()):
            show(answer)

    async def _within_patience(self) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._read()
        except TimeoutError as silence:
            words = f"The server said nothing for {PATIENCE:g} s."
            raise DeadlineExceeded(words, code=grpc.StatusCode.DEADLINE_EXCEEDED) from silence


class _Round:
    """Goes round over the subjects of one kind of page."""

    def __init__(self, presence: Presence, seconds: float) -> None:
        self._presence = presence
        self._seconds = seconds
        self._subjects: dict[Hashable, Subject[Any]] = {}
        self._turns: deque[Hashable] = deque()
        self._task: asyncio.Task[None] | None = None

    def subject(self, key: Hashable, read: Callable[[], Awaitable[Any]]) -> Subject[Any]:
        """The subject of a key, which is new or known; it has its turns from now on."""
        if key not in self._subjects:
            self._subjects[key] = Subject(read, self._presence)
            self._turns.append(key)
        if self._task is None:
            self._task = asyncio.create_task(self._go())
        return self._subjects[key]

    def hurry(self, key: Hashable) -> None:
        """The next turn is this one's."""
        if key in self._subjects:
            self._turns.remove(key)
            self._turns.appendleft(key)

    def leave(self, key: Hashable, follower: object) -> None:
        """One follower less; a subject without any is not read again."""
        subject = self._subjects.get(key)
        if subject is None or subject.followers.pop(follower, None) is None or subject.followers:
            return
        del self._subjects[key]
        self._turns.remove(key)

    def close(self) -> None:
        """Nothing is read again."""
        self._subjects.clear()
        self._turns.clear()

    async def _go(self) -> None:
        try:
            while self._turns:
                await asyncio.sleep(self._seconds)
                if self._turns:
                    self._turns.rotate(-1)
                    await self._subjects[self._turns[-1]].refresh()
        finally:
            self._task = None


class LiveReads:
    """The same key is the same subject, however many tabs follow it; its first part is the kind of page it is for."""

    def __init__(self, presence: Presence, *, seconds: float = SECONDS) -> None:
        self._presence = presence
        self._seconds = seconds
        self._rounds: dict[str, _Round] = {}

    def follow(
        self,
        key: tuple[Hashable, ...],
        read: Callable[[], Awaitable[Answer]],
        show: Callable[[Answer], None],
        fail: Callable[[RedriveError], None],
    ) -> Callable[[], None]:
        """Shows each answer from the next turn on; ends when the answer is called."""
        turns = self._round(key)
        follower = object()
        turns.subject(key, read).followers[follower] = (show, fail)
        return lambda: turns.leave(key, follower)

    def hurry(self, *keys: tuple[Hashable, ...]) -> None:
        """Something has changed: these are read next."""
        for key in reversed(keys):
            self._round(key).hurry(key)

    def close(self) -> None:
        """Ends all reading."""
        for turns in self._rounds.values():
            turns.close()

    def _round(self, key: tuple[Hashable, ...]) -> _Round:
        return self._rounds.setdefault(str(key[0]), _Round(self._presence, self._seconds))
