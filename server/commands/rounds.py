"""A round of resends: each slice is one append, at the message's version (protocol rule 11)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from functools import partial
from typing import NamedTuple

import msgspec

from domain.automatic_rounds import automatic_selection, limit_after_resend
from domain.batch_plan import BatchPlan, batch_count, split_into_batches
from domain.canary import Trial
from domain.event import Event
from domain.message import (
    Message,
    awaits_automatic_round,
    check_not_archived,
    fold,
    next_retry_count,
    replaces_content,
    resume_corrected,
)
from domain.message_events import MessageEvent, RetryRequested
from domain.retry import RetryState, RetryTrigger, SkipReason
from domain.retry_prediction import Prediction
from domain.streams import batch_stream, message_stream
from projections.message_rows import MessageRow, find
from projections.sql import Sql
from server.commands.changed_recipients import ChangedRecipients, load_changes
from server.commands.resend_planning import NO_RECIPIENTS, RoundRequest, SlicePlan, SliceProgress, plan_slice
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents

AUTOMATIC = "redrive"  # `requested_by` of automatic rounds


class RoundSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How many recipients a round takes, and how many it skips and why.

    `start_number` is the number of the first batch, 0 if there is none. Of a round with a canary `recipients` and
    `batches` are the canary's, and `after_canary` recipients follow. Only dry runs have predictions.
    """

    recipients: int
    batches: int
    start_number: int
    skipped: Mapping[SkipReason, int]
    after_canary: int = 0
    predictions: Mapping[Prediction, int] = {}


class RoundStart(msgspec.Struct, frozen=True, kw_only=True):
    """What the first slice of a round found: the answer that is stored for the caller's request.

    `round` is 0 until the first slice is committed. `recipients` are those of all slices; earlier releases did not
    store them.
    """

    round: int
    skipped: Mapping[SkipReason, int] = {}
    recipients: int = 0


NOT_STARTED = RoundStart(round=0)


class SliceResult(Enum):
    """The result of appending one slice."""

    APPENDED = "more slices follow"
    DONE = "no slice follows"
    CONFLICT = "another writer changed the message"
    OTHER_ROUND_OPEN = "another round of the message is open and has to be planned first"


class RoundSnapshot(NamedTuple):
    """A message, the slices that its round has so far, and the plan of the next one.

    `plan` is None if the round may not continue. `trial` is that of a first slice that is a canary. `was_open`: the
    message had open deliveries or an open round before this slice.
    """

    message: Message
    slices: Sequence[RetryRequested]
    plan: SlicePlan | None
    trial: Trial | None
    changes: ChangedRecipients
    was_open: bool = False


MayStart = Callable[[Message, MessageRow], bool]


class Round:
    """One round. The message's stream is read again before each slice, because other processes may append to it.

    `may_start` decides whether the first slice may be appended, or raises. With a `start` the round continues one that
    was started before, perhaps by another process. `is_rest` continues an open round, whose canary has been checked.
    """

    def __init__(
        self,
        log: EventLog,
        request: RoundRequest,
        may_start: MayStart,
        now: Callable[[], datetime],
        *,
        start: RoundStart = NOT_STARTED,
        is_rest: bool = False,
    ) -> None:
        self._log = log
        self._request = request
        self._may_start = may_start
        self._now = now
        self._start = start
        self._is_rest = is_rest
        self._stays_open = False
        self._eligible: Sequence[RetryState] = ()
        self._changes = ChangedRecipients(NO_RECIPIENTS, request.selection.as_of_sequence)

    @property
    def is_started(self) -> bool:
        """Return whether the first slice is committed."""
        return self._start.round > 0

    @property
    def stays_open(self) -> bool:
        """Return whether the background tasks plan the remaining slices, even if this process stops."""
        return self._stays_open

    def invalidate_eligibility(self) -> None:
        """Find the eligible groups again for the next slice: the page may have another token by now."""
        self._eligible = ()

    async def load(self, *, is_dry_run: bool = False) -> RoundSnapshot:
        """Read the message's version, and then the recipients to take (protocol rule 11).

        Raises MessageIsArchived, Unavailable, and what `may_start` raises.
        """
        events = await self._log.load(message_stream(self._request.message_id))
        slices = self._slices(events)
        message = fold(self._request.message_id, events)
        check_not_archived(message)
        changes = await load_changes(self._log, message, self._changes) if self._changes.until else self._changes
        return await self._log.read(lambda sql: self._snapshot(sql, message, slices, changes, is_dry_run=is_dry_run))

    def _slices(self, events: Sequence[Event]) -> Sequence[RetryRequested]:
        return [event for event in events if isinstance(event, RetryRequested) and event.round == self._start.round]

    def _snapshot(
        self,
        sql: Sql,
        message: Message,
        slices: Sequence[RetryRequested],
        changes: ChangedRecipients,
        *,
        is_dry_run: bool,
    ) -> RoundSnapshot:
        row = find(sql, message.id)
        if row is None or not self._may_append(message, row, slices):
            return RoundSnapshot(message, slices, None, None, changes)
        if changes.until:
            changes = changes.extended(sql, message, row.sequence)
        progress = SliceProgress(
            last_recipient=slices[-1].last_recipient if slices else "",
            eligible=self._eligible,
            changed=changes.recipients,
        )
        plan = plan_slice(sql, row, self._request, progress, is_dry_run=is_dry_run)
        trial = None if slices else self._trial(plan, row.sequence)
        was_open = row.is_open or message.open_round is not None
        return RoundSnapshot(message, slices, plan, trial, changes, was_open)

    def _trial(self, plan: SlicePlan, sequence: int) -> Trial | None:
        """Return the canary of the round, or None if the canary would take all of its recipients."""
        canary = self._request.canary
        if canary is None or plan.total <= canary.recipients:
            return None
        as_of = self._request.selection.as_of_sequence or sequence
        return Trial(canary=canary, rest=plan.total - canary.recipients, as_of=as_of, waiting=plan.waiting)

    def _may_append(self, message: Message, row: MessageRow, slices: Sequence[RetryRequested]) -> bool:
        if not self.is_started:
            return self._may_start(message, row)
        if self._is_rest:
            return self._is_open_in(message)
        return not message.cancelled and _has_more(slices)

    def _is_open_in(self, message: Message) -> bool:
        """Return whether the message waits for the round's last slice. That slice is appended even if it is empty."""
        return message.open_round is not None and message.open_round.round == self._start.round

    async def append_slice(self) -> SliceResult:
        """Append the next slice, if there is one to append. Raises what `load` raises."""
        snapshot = await self.load()
        message, slices, plan = snapshot.message, snapshot.slices, snapshot.plan
        if plan is not None and not self.is_started:
            if message.open_round is not None and not message.open_round.awaits_canary:
                return SliceResult.OTHER_ROUND_OPEN  # its later slices take recipients that its answer counted
            self._start = RoundStart(round=0, skipped=plan.skipped, recipients=plan.total)
        if plan is None or not (plan.recipients or self._is_open_in(message) or self._replaces_pending(snapshot)):
            return SliceResult.DONE
        requested, appends = await self._log.compute(partial(self._slice, snapshot, plan))
        if not isinstance(await self._log.commit(Commit(appends)), Committed):
            return SliceResult.CONFLICT
        self._start = msgspec.structs.replace(self._start, round=requested.round)
        self._eligible, self._changes = plan.eligible, snapshot.changes
        self._stays_open = slices[0].goes_on if slices else requested.goes_on
        return SliceResult.APPENDED if plan.last_recipient else SliceResult.DONE

    def _replaces_pending(self, snapshot: RoundSnapshot) -> bool:
        """Return whether the slice corrects pending deliveries too, even if the round takes no recipient."""
        return not snapshot.slices and self._replaces_content(snapshot.message)

    def _replaces_content(self, message: Message) -> bool:
        """Return whether the corrected content replaces the content of deliveries that the round does not take."""
        return bool(self._request.sealed_content) and replaces_content(message, self._request.selection)

    def _slice(self, snapshot: RoundSnapshot, plan: SlicePlan) -> tuple[RetryRequested, Sequence[StreamEvents]]:
        """Return the slice's event, and all that is appended with it: its batches, and maybe a MessageResumed."""
        message, slices = snapshot.message, snapshot.slices
        batch_plan = BatchPlan(
            message_id=message.id,
            page_id=message.page_id,
            stage=message.stage,
            round=self._start.round or message.round + 1,
            first_batch=message.batches + 1,
            time=self._now(),
            messages_per_second=self._request.messages_per_second,
        )
        recipients = plan.recipients
        if slices[0].sealed_content if slices else self._request.sealed_content:
            recipients = [msgspec.structs.replace(one, content_round=batch_plan.round) for one in recipients]
        created = [batch_plan.batch_created(index, group) for index, group in enumerate(split_into_batches(recipients))]
        batches = [StreamEvents(batch_stream(message.id, message.stage, e.batch_number), 0, [e]) for e in created]
        requested = self._requested(snapshot, plan, batch_plan)
        resumed = () if slices else self._resumed(message, batch_plan.time)
        return requested, [StreamEvents(message_stream(message.id), message.version, [requested, *resumed]), *batches]

    def _requested(self, snapshot: RoundSnapshot, plan: SlicePlan, batch_plan: BatchPlan) -> RetryRequested:
        message, request = snapshot.message, self._request
        requested = RetryRequested(
            message_id=message.id,
            round=batch_plan.round,
            trigger=request.trigger,
            requested_by=request.requested_by,
            selection=request.selection,
            first_batch=batch_plan.first_batch,
            batches=batch_count(len(plan.recipients)),
            recipients=len(plan.recipients),
            last_recipient=plan.last_recipient,
            retry_count=message.retry_count,
            tick=request.tick,
            messages_per_second=request.messages_per_second,
            automatic_from_batch=message.automatic_from_batch,
            time=batch_plan.time,
        )
        return requested if snapshot.slices else self._first_slice(requested, snapshot, plan)

    def _first_slice(self, requested: RetryRequested, snapshot: RoundSnapshot, plan: SlicePlan) -> RetryRequested:
        """Add what only the first slice of a round records."""
        message, request = snapshot.message, self._request
        start = RoundStart(round=requested.round, skipped=plan.skipped, recipients=plan.total)
        has_rest = snapshot.trial is None and bool(plan.last_recipient)
        if request.trigger is RetryTrigger.MANUAL:
            automatic_from_batch = limit_after_resend(message, request.selection, is_under_way=snapshot.was_open)
        else:
            automatic_from_batch = message.automatic_from_batch
        return msgspec.structs.replace(
            requested,
            retry_count=next_retry_count(message, request.trigger),
            request=request.stamp and msgspec.structs.replace(request.stamp, answer=msgspec.to_builtins(start)),
            reason=request.sealed_reason,
            skipped=dict(plan.skipped),
            trial=snapshot.trial,
            goes_on=has_rest and message.open_round is None,  # a message has one open round
            sealed_content=request.sealed_content,
            replaces_content=self._replaces_content(message),
            automatic_from_batch=automatic_from_batch,
        )

    def _resumed(self, message: Message, now: datetime) -> Sequence[MessageEvent]:
        """Resume a stopped message whose content the round corrects, unless a canary goes first."""
        if self._request.canary is not None or not self._replaces_content(message):
            return ()
        resumed = resume_corrected(message, requested_by=self._request.requested_by, now=now)
        return () if resumed is None else (resumed,)

    async def summary(self) -> RoundSummary:
        """Return what the round takes; of a round with a canary, what the canary takes.

        Of a round that stays open, return what its first slice found, so that a repeated request gets the same answer.
        """
        slices = self._slices(await self._log.load(message_stream(self._request.message_id)))
        trial = slices[0].trial if slices else None
        counted = slices[:1] if trial else slices
        stays_open = bool(slices) and slices[0].goes_on
        recipients = self._start.recipients if stays_open else sum(one.recipients for one in counted)
        return RoundSummary(
            recipients=recipients,
            batches=batch_count(recipients) if stays_open else sum(one.batches for one in counted),
            start_number=slices[0].first_batch if recipients else 0,
            skipped=self._start.skipped,
            after_canary=trial.rest if trial else 0,
        )


def _has_more(slices: Sequence[RetryRequested]) -> bool:
    """Return whether slices follow; after a canary only a Round with `is_rest` appends them."""
    return bool(slices) and slices[0].trial is None and bool(slices[-1].last_recipient)


def dry_run_summary(snapshot: RoundSnapshot) -> RoundSummary:
    """Return what a round would take."""
    if snapshot.plan is None:
        return RoundSummary(recipients=0, batches=0, start_number=0, skipped={})
    after_canary = snapshot.trial.rest if snapshot.trial else 0
    batches = batch_count(snapshot.plan.total - after_canary)
    return RoundSummary(
        recipients=snapshot.plan.total - after_canary,
        batches=batches,
        start_number=snapshot.message.batches + 1 if batches else 0,
        skipped=snapshot.plan.skipped,
        after_canary=after_canary,
        predictions=snapshot.plan.predictions,
    )


class AutomaticRoundService:
    """Starts automatic rounds: AUTO after a round ends, CRON by the retry timer.

    If another process changed the message first, no round is started and the change is not retried (protocol rule 11).
    """

    def __init__(self, log: EventLog, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now

    async def start(
        self, message_id: str, trigger: RetryTrigger, *, retry_count: int, from_batch: int = 0, tick: str = ""
    ) -> RoundSummary | None:
        """Start a round for all recipients within the message's limit that can succeed.

        `retry_count` and `from_batch` (the limit: see domain.automatic_rounds) are those that the trigger read. Return
        None if no recipient is left, a round is open, or the message has changed since the trigger read it.
        """
        request = RoundRequest(
            message_id=message_id,
            trigger=trigger,
            requested_by=AUTOMATIC,
            selection=automatic_selection(from_batch),
            tick=tick,
        )

        def may_start(message: Message, row: MessageRow) -> bool:
            is_unchanged = (message.retry_count, message.automatic_from_batch) == (retry_count, from_batch)
            return is_unchanged and awaits_automatic_round(message) and not row.is_open and row.page_hold is None

        the_round = Round(self._log, request, may_start, self._now)
        result = await the_round.append_slice()
        while the_round.is_started and result is not SliceResult.DONE:
            result = await the_round.append_slice()
        return await the_round.summary() if the_round.is_started else None
