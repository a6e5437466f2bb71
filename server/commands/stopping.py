"""Stops a message on behalf of the service, when its attempts show that more of them would fail."""

from collections.abc import Callable
from datetime import datetime

from domain.delivery import DeliveryStatus
from domain.errors import Aborted
from domain.message import stop
from domain.stop_policy import Stop
from domain.streams import message_stream
from projections import message_rows
from server.commands.lookup import load_message
from server.log.commit import Commit, Committed, EventLog, StreamEvents

REDOS = 20


class StopService:
    """Appends MessageStopped; workers hear of it, and ask before each dispatch."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def stop(self, message_id: str, reason: Stop) -> bool:
        """Stop a message unless nothing is pending, or it is held back or over; raises Aborted, Unavailable.

        A resume or a resend by hand that comes first wins: it is a later decision than the failures.
        """
        decided_at: int | None = None
        for _ in range(REDOS):
            message = await load_message(self._log, message_id)
            decided_at = message.version if decided_at is None else decided_at
            row = await self._log.read(lambda sql: message_rows.find(sql, message_id))
            pending = row.counts[DeliveryStatus.PENDING] if row is not None else 0
            event = stop(message, reason, decided_at=decided_at, pending_deliveries=pending, now=self._now())
            if event is None:
                return False
            commit = Commit([StreamEvents(message_stream(message_id), message.version, [event])])
            if isinstance(await self._log.commit(commit), Committed):
                return True
        raise Aborted("the message changed too often", message_id=message_id)
