"""A round of resends: RetryRequested and its batches in one append at the Message's version (protocol rule 11)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

import msgspec

from domain.batch_plan import BatchPlan, batches_needed, in_batches
from domain.event import RequestStamp
from domain.message import Message, fold, next_retry_count
from domain.message_events import RetryRequested
from domain.retry import RetrySelection, RetryTrigger, SkipReason, Standing
from domain.streams import batch_stream, message_stream
from projections.message_rows import MessageRow, find
from projections.sql import Sql
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


class Look(NamedTuple):
    """A message, the slices that its round has so far, and the next one; no plan when there is to be none."""

    message: Message
    slices: Sequence[RetryRequested]
    plan: RetryPlan | None


MayStart = Callable[[Message, MessageRow], bool]


class Round:
    """One round, slice by slice; what it has done so far is read from the message's stream each time.

    `may_start` says whether its first slice may be appended (or raises why not). With `number` a round is gone on with
    that was begun before, perhaps by a process that died.
    """

    def __init__(
        self,
        log: EventLog,
        order: RoundOrder,
        may_start: MayStart,
        now: Callable[[], datetime],
        *,
        number: int | None = None,
        skipped: Mapping[SkipReason, int] | None = None,
    ) -> None:
        self._log = log
        self._order = order
        self._may_start = may_start
        self._now = now
        self._number = number
        self._skipped = skipped or {}
        self._taken: Sequence[Standing] = ()

    @property
    def has_begun(self) -> bool:
        """Its first slice is durable."""
        return self._number is not None

    async def look(self) -> Look:
        """The message's version first, whom to retry second (protocol rule 11)."""
        events = await self._log.load(message_stream(self._order.message_id))
        slices = [e for e in events if isinstance(e, RetryRequested) and e.round == self._number]
        message = fold(self._order.message_id, events)
        plan = await self._log.read(lambda sql: self._plan(sql, message, slices))
        return Look(message, slices, plan)

    def _plan(self, sql: Sql, message: Message, slices: Sequence[RetryRequested]) -> RetryPlan | None:
        row = find(sql, message.id)
        if row is None or not (self._may_go_on(message, slices) if self.has_begun else self._may_start(message, row)):
            return None
        order = self._order
        whom = WhomToRetry(
            selection=order.selection,
            recipient_ids=order.recipient_ids,
            taken=self._taken,
            after=slices[-1].last_recipient if slices else "",
        )
        return plan_retry(sql, row, whom)

    def _may_go_on(self, message: Message, slices: Sequence[RetryRequested]) -> bool:
        """The last slice ended before the last recipient, and nobody has cancelled the message meanwhile."""
        return not message.cancelled and bool(slices) and bool(slices[-1].last_recipient)

    async def advance(self) -> Step:
        """Appends the next slice."""
        message, slices, plan = await self.look()
        if plan is not None and not self.has_begun:
            self._skipped = plan.skipped
        if plan is None or not plan.recipients:
            return Step.DONE
        requested, appends = self._slice(message, slices, plan)
        if not isinstance(await self._log.commit(Commit(appends)), Committed):
            return Step.BEATEN
        self._number, self._taken = requested.round, plan.taken
        return Step.APPENDED if plan.after else Step.DONE

    def _slice(
        self, message: Message, slices: Sequence[RetryRequested], plan: RetryPlan
    ) -> tuple[RetryRequested, Sequence[StreamEvents]]:
        batch_plan = BatchPlan(
            message_id=message.id,
            page_id=message.page_id,
            stage=message.stage,
            round=message.round + 1 if self._number is None else self._number,
            first_batch=message.batches + 1,
            time=self._now(),
        )
        created = [batch_plan.created(index, group) for index, group in enumerate(in_batches(plan.recipients))]
        batches = [StreamEvents(batch_stream(message.id, message.stage, e.batch_number), 0, [e]) for e in created]
        requested = self._requested(message, batch_plan, plan, is_first=not slices)
        return requested, [StreamEvents(message_stream(message.id), message.version, [requested]), *batches]

    def _requested(self, message: Message, batch_plan: BatchPlan, plan: RetryPlan, *, is_first: bool) -> RetryRequested:
        order = self._order
        answer = {"round": batch_plan.round, "skipped": dict(plan.skipped)}
        return RetryRequested(
            message_id=message.id,
            round=batch_plan.round,
            trigger=order.trigger,
            requested_by=order.requested_by,
            selection=order.selection,
            first_batch=batch_plan.first_batch,
            batches=batches_needed(len(plan.recipients)),
            recipients=len(plan.recipients),
            last_recipient=plan.after,
            retry_count=next_retry_count(message, order.trigger) if is_first else message.retry_count,
            tick=order.tick,
            request=order.request and msgspec.structs.replace(order.request, answer=answer) if is_first else None,
            time=batch_plan.time,
        )

    async def started(self) -> RoundStarted:
        """What the round came to, by its slices."""
        _, slices, _ = await self.look()
        return RoundStarted(
            recipients=sum(one.recipients for one in slices),
            batches=sum(one.batches for one in slices),
            start_number=slices[0].first_batch if slices else 0,
            skipped=self._skipped,
        )


def would_start(look: Look) -> RoundStarted:
    """What a round would come to."""
    if look.plan is None:
        return RoundStarted(recipients=0, batches=0, start_number=0, skipped={})
    batches = batches_needed(look.plan.total)
    return RoundStarted(
        recipients=look.plan.total,
        batches=batches,
        start_number=look.message.batches + 1 if batches else 0,
        skipped=look.plan.skipped,
    )
