"""Rounds that nobody asks for by hand: right after a round ends (AUTO), or by the timer (CRON)."""

from collections.abc import Callable
from datetime import datetime

from domain.automatic_rounds import automatic_selection
from domain.message import Message, awaits_automatic_round
from domain.retry import RetryTrigger
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
        self, message_id: str, trigger: RetryTrigger, *, retry_count: int, from_batch: int = 0, tick: str = ""
    ) -> RoundStarted | None:
        """Start a round for all recipients within the message's limit that can succeed.

        `retry_count` and `from_batch` (the limit: see domain.automatic_rounds) are the message's as the trigger saw
        them. None when no recipient is left, a round is open, or the message has moved on from what the trigger saw.
        """
        order = RoundOrder(
            message_id=message_id,
            trigger=trigger,
            requested_by=AUTOMATIC,
            selection=automatic_selection(from_batch),
            tick=tick,
        )

        def may_start(message: Message, row: MessageRow) -> bool:
            unmoved = (message.retry_count, message.automatic_from_batch) == (retry_count, from_batch)
            return unmoved and awaits_automatic_round(message) and not row.is_open and row.page_hold is None

        the_round = Round(self._log, order, may_start, self._now)
        step = await the_round.advance()
        while the_round.has_begun and step is not Step.DONE:
            step = await the_round.advance()
        return await the_round.started() if the_round.has_begun else None
