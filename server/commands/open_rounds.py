"""Open rounds: their slices are not all planned yet, because a canary goes first or the answer came before.

Each slice is planned from the log and appended at the message's version. So any process can continue an open round, and
two that do so at once are safe (docs/decisions/023-open-rounds.md).
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
from server.commands.resend_planning import RoundRequest
from server.commands.rounds import Round, RoundStart, SliceResult
from server.eventstore.commit import Commit, EventLog, StreamEvents

PLAN_SECONDS = 0.5  # of planning before a Resend is answered, or before other messages have their turn
MAX_TURNS = 1_000
MAX_KEPT_ROUNDS = 10  # each holds its changed recipients in memory


class OpenRoundService:
    """Plans the rest of open rounds.

    A Round object is kept between turns, so that the recipients that changed since the request are read only once.
    """

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._kept: dict[tuple[str, int], Round] = {}  # by message and round, the oldest first

    async def finish(self, message_id: str) -> None:
        """Plan the message's open round until nothing more may be planned; raises Unavailable."""
        for _ in range(MAX_TURNS):
            if not await self.continue_round(message_id):
                return

    async def continue_round(self, message_id: str) -> bool:
        """Stop a message's open round if its canary failed, or plan its rest for half a second.

        Return whether more may be to do. Before the canary's deliveries end, do nothing. Raises Unavailable.
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
        key = message_id, message.open_round.round
        rest = self._kept.pop(key) if key in self._kept else self._rest(message.open_round, events)
        rest.invalidate_eligibility()
        has_more = await self._plan(rest)
        if has_more:
            self._keep(key, rest)
        return has_more

    async def _plan(self, rest: Round) -> bool:
        """Append slices for half a second; return whether more may follow."""
        until = time.monotonic() + PLAN_SECONDS
        result = await rest.append_slice()
        while result is SliceResult.APPENDED and time.monotonic() < until:
            result = await rest.append_slice()
        return result is not SliceResult.DONE

    def _keep(self, key: tuple[str, int], rest: Round) -> None:
        """Keep a round until its next turn; another process may have finished the oldest one."""
        self._kept[key] = rest
        if len(self._kept) > MAX_KEPT_ROUNDS:
            del self._kept[next(iter(self._kept))]

    def _stopped(self, message: Message, ends: BatchesResult) -> RetryStopped | None:
        return stop_after_canary(message, failed=ends.failed, unconfirmed=ends.unconfirmed, now=self._now())

    def _rest(self, opened: OpenRound, events: Sequence[Event]) -> Round:
        """Return the rest of a round, as its first slice was requested.

        After a canary it takes only recipients that have not changed since the canary was planned.
        """
        first = next(event for event in events if isinstance(event, RetryRequested) and event.round == opened.round)
        request = RoundRequest(
            message_id=first.message_id,
            trigger=first.trigger,
            requested_by=first.requested_by,
            selection=first.selection,
            tick=first.tick,
            messages_per_second=first.messages_per_second,
        )
        if (trial := opened.trial) is not None:
            selection = msgspec.structs.replace(first.selection, as_of_sequence=trial.as_of)
            request = msgspec.structs.replace(request, selection=selection, recipient_ids=trial.waiting)
        return Round(self._log, request, _never, self._now, start=RoundStart(round=opened.round), is_rest=True)


def _ends(message_id: str, opened: OpenRound) -> Callable[[Sql], BatchesResult]:
    return lambda sql: result_of(sql, message_id, first=opened.first_batch, count=opened.batches)


def _never(_message: Message, _row: MessageRow) -> bool:
    """Refuse a first slice: the round is started already."""
    return False
