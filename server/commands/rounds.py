"""A round of resends: RetryRequested and its batches in one append at the Message's version (protocol rule 11)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import partial
from typing import NamedTuple

import msgspec

from domain.automatic_rounds import automatic_selection
from domain.batch_plan import BatchPlan, batch_count, split_into_batches
from domain.canary import Trial
from domain.event import Event
from domain.message import Message, awaits_automatic_round, check_not_archived, fold
from domain.message_events import RetryRequested
from domain.retry import RetryState, RetryTrigger, SkipReason
from domain.retry_prediction import Prediction
from domain.streams import batch_stream, message_stream
from projections.message_rows import MessageRow, find
from projections.sql import Sql
from server.commands.changed_recipients import Changes, changes_in_slices
from server.commands.resend_planning import NOBODY, ResendCriteria, RetryPlan, RoundOrder, plan_retry
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents


class RoundStarted(msgspec.Struct, frozen=True, kw_only=True):
    """What a round takes, and what it leaves; `start_number` is 0 when it takes nobody.

    Of a round with a canary it is the canary, and `after_canary` says how many are to follow.
    """

    recipients: int
    batches: int
    start_number: int
    skipped: Mapping[SkipReason, int]
    after_canary: int = 0
    predictions: Mapping[Prediction, int] = {}


class Step(Enum):
    """What became of one slice."""

    APPENDED = "more is to come"
    DONE = "that was all"
    CONFLICT = "the message has moved on"
    TOO_EARLY = "another round is to be planned to its end first"


class Look(NamedTuple):
    """A message, the slices that its round has so far, and the next one; no plan when there is to be none.

    Of a frozen set, `changes` are all that are known once the slice is appended at the message's version.
    `is_under_way`: something of the message was open before the slice.
    """

    message: Message
    slices: Sequence[RetryRequested]
    plan: RetryPlan | None
    trial: Trial | None
    changes: Changes
    is_under_way: bool = False


MayStart = Callable[[Message, MessageRow], bool]


class Round:
    """One round, slice by slice; what it has done so far is read from the message's stream each time.

    `may_start` says whether its first slice may be appended (or raises why not). With `number` a round is gone on with
    that was begun before, perhaps by a process that died; `skipped` and `total` are what its first slice found. What is
    left of a round that the message says is open, after its canary or after an answer, is planned by a Round `of_rest`.
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
        total: int = 0,
        of_rest: bool = False,
    ) -> None:
        self._log = log
        self._order = order
        self._may_start = may_start
        self._now = now
        self._number = number
        self._skipped = skipped or {}
        self._total = total
        self._of_rest = of_rest
        self._goes_on = False
        self._taken: Sequence[RetryState] = ()
        self._changes = Changes(NOBODY, order.selection.as_of_sequence)

    @property
    def has_begun(self) -> bool:
        """Its first slice is durable."""
        return self._number is not None

    @property
    def goes_on(self) -> bool:
        """It will be planned to its end, whoever goes away."""
        return self._goes_on

    def invalidate_eligibility(self) -> None:
        """It rested for a while: who stands how may look otherwise by now, by another token of the page."""
        self._taken = ()

    async def look(self, *, predicts: bool = False) -> Look:
        """The message's version first, whom to retry second (protocol rule 11)."""
        events = await self._log.load(message_stream(self._order.message_id))
        slices = self._slices(events)
        message = fold(self._order.message_id, events)
        check_not_archived(message)
        known = await changes_in_slices(self._log, message, self._changes) if self._changes.until else self._changes
        return await self._log.read(lambda sql: self._look(sql, message, slices, known, predicts=predicts))

    def _slices(self, events: Sequence[Event]) -> Sequence[RetryRequested]:
        return [event for event in events if isinstance(event, RetryRequested) and event.round == self._number]

    def _look(
        self, sql: Sql, message: Message, slices: Sequence[RetryRequested], known: Changes, *, predicts: bool
    ) -> Look:
        row = find(sql, message.id)
        if row is None or not (self._may_go_on(message, slices) if self.has_begun else self._may_start(message, row)):
            return Look(message, slices, None, None, known)
        changes = known.and_since(sql, message, row.sequence) if known.until else known
        plan = plan_retry(sql, row, self._whom(slices, changes, predicts=predicts))
        trial = None if slices else self._trial(plan, row.sequence)
        is_under_way = row.is_open or message.open_round is not None
        return Look(message, slices, plan, trial, changes, is_under_way)

    def _whom(self, slices: Sequence[RetryRequested], changes: Changes, *, predicts: bool) -> ResendCriteria:
        order = self._order
        return ResendCriteria(
            selection=order.selection,
            recipient_ids=order.recipient_ids,
            taken=self._taken,
            after=slices[-1].last_recipient if slices else "",
            changed=changes.recipients,
            limit=order.canary.recipients if order.canary else None,
            predicts=predicts,
        )

    def _trial(self, plan: RetryPlan, sequence: int) -> Trial | None:
        """A canary that takes all there are is none."""
        canary = self._order.canary
        if canary is None or plan.total <= canary.recipients:
            return None
        since = self._order.selection.as_of_sequence or sequence
        return Trial(canary=canary, rest=plan.total - canary.recipients, as_of=since, waiting=plan.waiting)

    def _may_go_on(self, message: Message, slices: Sequence[RetryRequested]) -> bool:
        """The last slice ended before the last recipient, and nobody has cancelled the message meanwhile."""
        if self._of_rest:
            return self._is_open(message)
        has_canary = bool(slices) and slices[0].trial is not None
        return not message.cancelled and not has_canary and bool(slices) and bool(slices[-1].last_recipient)

    async def advance(self) -> Step:
        """Appends the next slice."""
        look = await self.look()
        message, slices, plan = look.message, look.slices, look.plan
        if plan is not None and not self.has_begun:
            if message.open_round is not None and not message.open_round.awaits_canary:
                return Step.TOO_EARLY  # that one has promised to take those whom it left to its later slices
            self._skipped, self._total = plan.skipped, plan.total
        if plan is None or not (plan.recipients or self._is_open(message) or self._replaces(message, slices)):
            return Step.DONE
        requested, appends = await self._log.compute(partial(self._slice, look, plan))
        if not isinstance(await self._log.commit(Commit(appends)), Committed):
            return Step.CONFLICT
        self._number, self._taken, self._changes = requested.round, plan.taken, look.changes
        self._goes_on = slices[0].goes_on if slices else requested.goes_on
        return Step.APPENDED if plan.after else Step.DONE

    def _is_open(self, message: Message) -> bool:
        """The message waits for this round's last slice, even if it is of nobody."""
        return message.open_round is not None and message.open_round.round == self._number

    def _replaces(self, message: Message, slices: Sequence[RetryRequested]) -> bool:
        """Return whether the first slice corrects what is pending, even if the round takes no recipient."""
        return not slices and self._order.replaces_content(message)

    def _slice(self, look: Look, plan: RetryPlan) -> tuple[RetryRequested, Sequence[StreamEvents]]:
        message, slices = look.message, look.slices
        batch_plan = BatchPlan(
            message_id=message.id,
            page_id=message.page_id,
            stage=message.stage,
            round=message.round + 1 if self._number is None else self._number,
            first_batch=message.batches + 1,
            time=self._now(),
            messages_per_second=self._order.messages_per_second,
        )
        recipients = plan.recipients
        if slices[0].sealed_content if slices else self._order.sealed_content:
            recipients = [msgspec.structs.replace(one, content_round=batch_plan.round) for one in recipients]
        created = [batch_plan.batch_created(index, group) for index, group in enumerate(split_into_batches(recipients))]
        batches = [StreamEvents(batch_stream(message.id, message.stage, e.batch_number), 0, [e]) for e in created]
        requested = self._order.slice(
            message, batch_plan, plan, look.trial, is_first=not slices, is_under_way=look.is_under_way
        )
        resumed = () if slices else self._order.resumes(message, batch_plan.time)
        return requested, [StreamEvents(message_stream(message.id), message.version, [requested, *resumed]), *batches]

    async def started(self) -> RoundStarted:
        """What the round came to, by its slices; of one with a canary, what that is.

        Of one that goes on, what its first slice found: each answer to the request says the same, whenever it comes.
        """
        slices = self._slices(await self._log.load(message_stream(self._order.message_id)))
        trial = slices[0].trial if slices else None
        counted = slices[:1] if trial else slices
        goes_on = bool(slices) and slices[0].goes_on
        recipients = self._total if goes_on else sum(one.recipients for one in counted)
        return RoundStarted(
            recipients=recipients,
            batches=batch_count(recipients) if goes_on else sum(one.batches for one in counted),
            start_number=slices[0].first_batch if recipients else 0,
            skipped=self._skipped,
            after_canary=trial.rest if trial else 0,
        )


def would_start(look: Look) -> RoundStarted:
    """What a round would come to."""
    if look.plan is None:
        return RoundStarted(recipients=0, batches=0, start_number=0, skipped={})
    after_canary = look.trial.rest if look.trial else 0
    batches = batch_count(look.plan.total - after_canary)
    return RoundStarted(
        recipients=look.plan.total - after_canary,
        batches=batches,
        start_number=look.message.batches + 1 if batches else 0,
        skipped=look.plan.skipped,
        after_canary=after_canary,
        predictions=look.plan.predictions,
    )


# Rounds that nobody asks for by hand: right after a round ends (AUTO), or by the timer (CRON).


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
