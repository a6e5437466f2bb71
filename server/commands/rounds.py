"""A round of resends: RetryRequested and its batches in one append at the Message's version (protocol rule 11)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from domain.batch_plan import BatchPlan, batches_needed, in_batches
from domain.event import RequestStamp
from domain.message import Message, next_retry_count
from domain.message_events import RetryRequested
from domain.retry import RetrySelection, RetryTrigger, SkipReason
from domain.streams import batch_stream, message_stream
from projections.message_rows import MessageRow, find
from projections.sql import Sql
from server.commands.lookup import load_message
from server.commands.retry_planning import RetryPlan, WhomToRetry, plan_retry
from server.log.commit import Commit, Committed, EventLog, StreamEvents


class RoundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Who starts a round and why; `tick` names the timer's run. Empty recipient_ids name nobody."""

    message_id: str
    trigger: RetryTrigger
    requested_by: str
    selection: RetrySelection
    recipient_ids: tuple[str, ...] = ()
    tick: str = ""
    request: RequestStamp | None = None


class RoundStarted(msgspec.Struct, frozen=True, kw_only=True):
    """What a round takes, and what it leaves; `start_number` is 0 when it takes nobody."""

    recipients: int
    batches: int
    start_number: int
    skipped: Mapping[SkipReason, int]


class Step(Enum):
    """What became of one slice."""

    APPENDED = "more is to come"
    DONE = "that was all"
    BEATEN = "the message has moved on"


MayStart = Callable[[Message, MessageRow], bool]


class Round:
    """One round, slice by slice; `may_start` says whether its first slice may be appended (or raises why not)."""

    def __init__(self, log: EventLog, order: RoundOrder, may_start: MayStart, now: Callable[[], datetime]) -> None:
        self._log = log
        self._order = order
        self._may_start = may_start
        self._now = now
        self._number: int | None = None
        self._taken = 0
        self._after = ""
        self.planned = RoundStarted(recipients=0, batches=0, start_number=0, skipped={})

    @property
    def has_begun(self) -> bool:
        """Its first slice is durable."""
        return self._number is not None

    async def look(self) -> tuple[Message, RetryPlan | None]:
        """The message's version first, whom to retry second; no plan when the round may not start."""
        message = await load_message(self._log, self._order.message_id)
        plan = await self._log.read(lambda sql: self._plan(sql, message))
        if plan is not None and not self.has_begun:
            self.planned = _planned(message, plan)
        return message, plan

    def _plan(self, sql: Sql, message: Message) -> RetryPlan | None:
        row = find(sql, self._order.message_id)
        if row is None or not (self.has_begun or self._may_start(message, row)):
            return None
        whom = WhomToRetry(selection=self._order.selection, recipient_ids=self._order.recipient_ids, after=self._after)
        return plan_retry(sql, row, whom)

    async def advance(self) -> Step:
        """Appends the next slice."""
        message, plan = await self.look()
        if plan is None or not plan.recipients:
            return Step.DONE
        if not await self._append(message, plan):
            return Step.BEATEN
        self._number = message.round + 1 if self._number is None else self._number
        self._taken += len(plan.recipients)
        self._after = plan.after
        return Step.DONE if self._taken >= self.planned.recipients else Step.APPENDED

    async def _append(self, message: Message, plan: RetryPlan) -> bool:
        time = self._now()
        batch_plan = BatchPlan(
            message_id=message.id,
            page_id=message.page_id,
            stage=message.stage,
            round=message.round + 1 if self._number is None else self._number,
            first_batch=message.batches + 1,
            time=time,
        )
        created = [batch_plan.created(index, group) for index, group in enumerate(in_batches(plan.recipients))]
        batches = [StreamEvents(batch_stream(message.id, message.stage, e.batch_number), 0, [e]) for e in created]
        requested = self._requested(message, batch_plan, recipients=len(plan.recipients), batches=len(batches))
        commit = Commit([StreamEvents(message_stream(message.id), message.version, [requested]), *batches])
        return isinstance(await self._log.commit(commit), Committed)

    def _requested(self, message: Message, batch_plan: BatchPlan, *, recipients: int, batches: int) -> RetryRequested:
        """The request stands on the last slice: a resend that broke off is found undone, and a redo plans the rest."""
        order = self._order
        is_last = self._taken + recipients >= self.planned.recipients
        answered = order.request and msgspec.structs.replace(order.request, answer=_as_answer(self.planned))
        return RetryRequested(
            message_id=message.id,
            round=batch_plan.round,
            trigger=order.trigger,
            requested_by=order.requested_by,
            selection=order.selection,
            first_batch=batch_plan.first_batch,
            batches=batches,
            recipients=recipients,
            retry_count=message.retry_count if self.has_begun else next_retry_count(message, order.trigger),
            tick=order.tick,
            request=answered if is_last else None,
            time=batch_plan.time,
        )


def _planned(message: Message, plan: RetryPlan) -> RoundStarted:
    batches = batches_needed(plan.total)
    return RoundStarted(
        recipients=plan.total,
        batches=batches,
        start_number=message.batches + 1 if batches else 0,
        skipped=plan.skipped,
    )


def _as_answer(started: RoundStarted) -> dict[str, Any]:
    answer: dict[str, Any] = msgspec.to_builtins(started)
    return answer
