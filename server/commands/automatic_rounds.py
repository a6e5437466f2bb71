"""Rounds that nobody asks for by hand: right after a round ends (AUTO), or by the timer (CRON)."""

from collections.abc import Callable
from datetime import datetime

from domain.message import Message, awaits_automatic_round
from domain.retry import PLAIN, RetryTrigger
from projections.message_rows import MessageRow
from server.commands.round_order import RoundOrder
from server.commands.rounds import Round, RoundStarted, Step
from server.log.commit import EventLog

AUTOMATIC = "redrive"  # who asks for an automatic round


class AutomaticRoundService:
    """Starts automatic rounds; when somebody else was faster it stops, and does not redo (protocol rule 11)."""

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def start(
        self, message_id: str, trigger: RetryTrigger, *, retry_count: int, tick: str = ""
    ) -> RoundStarted | None:
        """Starts a round for all that can succeed.

        None when nobody is left, a round is open, or the message has had other automatic rounds than the trigger saw.
        """
        order = RoundOrder(message_id=message_id, trigger=trigger, requested_by=AUTOMATIC, selection=PLAIN, tick=tick)

        def may_start(message: Message, row: MessageRow) -> bool:
            unmoved = message.retry_count == retry_count
            return unmoved and awaits_automatic_round(message) and not row.is_open and row.page_hold is None

        the_round = Round(self._log, order, may_start, self._now)
        step = await the_round.advance()
        while the_round.has_begun and step is not Step.DONE:
            step = await the_round.advance()
        return await the_round.started() if the_round.has_begun else None
