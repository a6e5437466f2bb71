"""Open rounds, which are not all planned yet: one waits for its canary, another was answered before its last slice.

All of it is decided by what the log holds, and appended at the message's version: whoever is beaten looks again, and a
process that dies leaves it to the next look.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from domain.canary import OpenRound
from domain.event import Event
from domain.message import Message, fold, stop_after_canary
from domain.message_events import RetryRequested, RetryStopped
from domain.streams import message_stream
from projections.batches import BatchesResult, result_of
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.resend_planning import RoundOrder
from server.commands.rounds import Round, Step
from server.eventstore.commit import Commit, EventLog, StreamEvents

PLAN_SECONDS = 0.5  # that a round is planned for before others have their turn, or whoever asked has an answer
MAX_TURNS = 1_000
MOST_RESTS = 10  # that are kept between turns: what is kept of a round is as much as it has recipients


class OpenRoundService:
    """Goes on with open rounds; two at once are safe.

    A round's rest is kept from turn to turn: who has changed since it was asked for is read once, not in each.
    """

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._rests: dict[tuple[str, int], Round] = {}

    async def finish(self, message_id: str) -> None:
        """Plans to its end what may be planned of a message's open round; raises Unavailable."""
        for _ in range(MAX_TURNS):
            if not await self.go_on(message_id):
                return

    async def go_on(self, message_id: str) -> bool:
        """Stops a round whose canary failed, or plans for half a second of what follows; whether more may be to do.

        Nothing while a canary is under way. Raises Unavailable.
        """
        events = await self._log.load(message_stream(message_id))
        message = fold(message_id, events)
        if message.open_round is None:
            return False
        if message.open_round.awaits_canary:
            ends = await self._log.read(_ends(message_id, message.open_round))
            if not ends.have_ended:
                return False
            if (stopped := self._stopped(message, ends)) is not None:
                await self._log.commit(Commit([StreamEvents(message_stream(message_id), message.version, [stopped])]))
                return True
        place = message_id, message.open_round.round
        rest = self._rests.pop(place) if place in self._rests else self._rest(message.open_round, events)
        rest.invalidate_eligibility()
        has_more = await self._plan(rest)
        if has_more:
            self._keep(place, rest)
        return has_more

    async def _plan(self, rest: Round) -> bool:
        """Slice after slice; whoever is beaten looks again at what became of the round."""
        until = time.monotonic() + PLAN_SECONDS
        step = await rest.advance()
        while step is Step.APPENDED and time.monotonic() < until:
            step = await rest.advance()
        return step is not Step.DONE

    def _keep(self, place: tuple[str, int], rest: Round) -> None:
        """Until its next turn; whoever kept it for longest may have lost it to another process."""
        self._rests[place] = rest
        if len(self._rests) > MOST_RESTS:
            del self._rests[next(iter(self._rests))]

    def _stopped(self, message: Message, ends: BatchesResult) -> RetryStopped | None:
        return stop_after_canary(message, failed=ends.failed, unconfirmed=ends.unconfirmed, now=self._now())

    def _rest(self, opened: OpenRound, events: Sequence[Event]) -> Round:
        """What follows, as it was asked for; after a canary, of those who have not changed since."""
        asked = next(event for event in events if isinstance(event, RetryRequested) and event.round == opened.round)
        order = RoundOrder(
            message_id=asked.message_id,
            trigger=asked.trigger,
            requested_by=asked.requested_by,
            selection=asked.selection,
            tick=asked.tick,
            messages_per_second=asked.messages_per_second,
        )
        if (trial := opened.trial) is not None:
            selection = msgspec.structs.replace(asked.selection, as_of_sequence=trial.as_of)
            order = msgspec.structs.replace(order, selection=selection, recipient_ids=trial.waiting)
        return Round(self._log, order, _never, self._now, number=opened.round, of_rest=True)


def _ends(message_id: str, opened: OpenRound) -> Callable[[Sql], BatchesResult]:
    return lambda sql: result_of(sql, message_id, first=opened.first_batch, count=opened.batches)


def _never(_message: Message, _row: MessageRow) -> bool:
    """The round has begun: its rest is no first slice."""
    return False
