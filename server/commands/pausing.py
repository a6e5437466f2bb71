"""Pause and resume: a message is held back, and goes on where it was."""

from collections.abc import Callable
from datetime import datetime

from domain import message as messages
from domain.commands import PauseMessage, ResumeMessage
from projections.message_rows import MessageRow
from server.commands.identity import PayloadHash, stamp_for
from server.commands.lookup import find_message, reach
from server.commands.message_change import change
from server.log.commit import EventLog

PAUSE, RESUME = "PauseMessage", "ResumeMessage"


class PauseService:
    """Pauses messages and resumes them; workers hear of it, and ask before each dispatch."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def pause(self, command: PauseMessage) -> MessageRow:
        """Holds a message back; raises MessageNotFound, MessageIsCancelled, MessageIsDone, RequestIdReused, Aborted."""
        stamp = stamp_for(PAUSE, command, PayloadHash(command).hexdigest())
        await change(
            self._log,
            reach(command),
            command.message_id,
            stamp,
            lambda message, somebody_waits: messages.pause(
                message,
                somebody_waits=somebody_waits,
                requested_by=command.owner,
                request=stamp,
                now=self._now(),
            ),
        )
        return await self._row(command)

    async def resume(self, command: ResumeMessage) -> MessageRow:
        """Lets a message go on; raises MessageNotFound, MessageIsCancelled, RequestIdReused, Aborted."""
        stamp = stamp_for(RESUME, command, PayloadHash(command).hexdigest())
        await change(
            self._log,
            reach(command),
            command.message_id,
            stamp,
            lambda message, _: messages.resume(message, requested_by=command.owner, request=stamp, now=self._now()),
        )
        return await self._row(command)

    async def _row(self, command: PauseMessage | ResumeMessage) -> MessageRow:
        return await self._log.read(lambda sql: find_message(sql, reach(command), command.message_id))
