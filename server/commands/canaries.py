"""Canaries: once one has come to its end its round stops, or goes on with the rest.

All of it is decided by what the log holds, and appended at the message's version: whoever is beaten looks again, and a
process that dies leaves it to the next look.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from domain.canary import OpenTrial
from domain.event import Event
from domain.message import Message, fold, stop_after_canary
from domain.message_events import RetryRequested, RetryStopped
from domain.streams import message_stream
from projections.batch_rounds import Ends, ends_of
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.rounds import Round, RoundOrder, Step
from server.log.commit import Commit, EventLog, StreamEvents

MAX_STEPS = 1_000  # slices and redos of one round: 10,000,000 recipients


class CanaryService:
    """Settles canaries; two at once are safe."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def settle(self, message_id: str) -> None:
        """Stops the round of a message's canary, or plans its rest; nothing while the canary is under way.

        Raises Unavailable.
        """
        for _ in range(MAX_STEPS):
            events = await self._log.load(message_stream(message_id))
            message = fold(message_id, events)
            if message.open_trial is None:
                return
            ends = await self._log.read(_ends(message_id, message.open_trial))
            if not ends.are_over:
                return
            if (stopped := self._stopped(message, ends)) is not None:
                await self._log.commit(Commit([StreamEvents(message_stream(message_id), message.version, [stopped])]))
            else:
                await self._plan_rest(self._rest(message.open_trial, events))

    async def _plan_rest(self, rest: Round) -> None:
        """Slice after slice; whoever is beaten looks again at what became of the canary."""
        while await rest.advance() is Step.APPENDED:
            pass

    def _stopped(self, message: Message, ends: Ends) -> RetryStopped | None:
        return stop_after_canary(message, failed=ends.failed, unconfirmed=ends.unconfirmed, now=self._now())

    def _rest(self, opened: OpenTrial, events: Sequence[Event]) -> Round:
        """What follows the canary, as it was asked for: of those who have not changed since."""
        asked = next(event for event in events if isinstance(event, RetryRequested) and event.round == opened.round)
        order = RoundOrder(
            message_id=asked.message_id,
            trigger=asked.trigger,
            requested_by=asked.requested_by,
            selection=msgspec.structs.replace(asked.selection, as_of_sequence=opened.trial.as_of),
            recipient_ids=opened.trial.waiting,
            messages_per_second=asked.messages_per_second,
        )
        return Round(self._log, order, _never, self._now, number=opened.round, after_canary=True)


def _ends(message_id: str, opened: OpenTrial) -> Callable[[Sql], Ends]:
    return lambda sql: ends_of(sql, message_id, first=opened.first_batch, count=opened.batches)


def _never(_message: Message, _row: MessageRow) -> bool:
    """The round has begun: its rest is no first slice."""
    return False
