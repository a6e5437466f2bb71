"""What was: questions about a message at a time in the past, answered from the log alone."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from domain.errors import InvalidRequest, Violation
from projections.sql import Sql
from server.history.message_log import events_until
from server.history.replay import Replay
from server.log.commit import EventLog

T = TypeVar("T")

KEPT_SECONDS = 60.0  # for the next page of a list


class _Moment(NamedTuple):
    owner: str
    message_id: str
    time: datetime


class History:
    """Makes a message's read models as they were, and asks them what one asks the live ones.

    One question after the other: what it costs grows with the message (about a second for 30,000 recipients), and must
    not take the process from those who send. What was made last is kept for a while.
    """

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._turn = asyncio.Lock()
        self._kept: tuple[_Moment, Replay] | None = None
        self._forgetting: asyncio.TimerHandle | None = None

    async def ask(self, owner: str, message_id: str, time: datetime, query: Callable[[Sql], T]) -> T:
        """What a query found at that time; raises InvalidRequest, MessageNotFound, Unavailable."""
        if time > self._now():
            raise InvalidRequest([Violation("as_of_time", "must not be in the future")])
        async with self._turn:
            replay = await self._at(_Moment(owner, message_id, time))
            return await asyncio.to_thread(replay.ask, query)

    async def _at(self, moment: _Moment) -> Replay:
        if self._kept is None or self._kept[0] != moment:
            self.close()
            self._kept = (moment, await self._made(moment))
        self._keep()
        return self._kept[1]

    async def _made(self, moment: _Moment) -> Replay:
        replay = Replay(moment.message_id)
        try:
            async for part in events_until(self._log, *moment):
                await asyncio.to_thread(replay.apply, part)
        except BaseException:
            _let_go(replay)
            raise
        return replay

    def _keep(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(KEPT_SECONDS, self.close)

    def close(self) -> None:
        """Forgets what was made; whoever asks again has it made again."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        if self._kept is not None:
            _let_go(self._kept[1])
        self._kept = self._forgetting = None


def _let_go(replay: Replay) -> None:
    """In a thread: a question may be under way still."""
    asyncio.get_running_loop().run_in_executor(None, replay.close)
