"""Plans a round: who is taken, who is skipped and why, in slices of 10,000 (protocol rule 14)."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from domain.automatic_rounds import automatic_selection, limit_after_resend
from domain.batch_events import BatchRecipient
from domain.batch_plan import PLAN_SLICE, BatchPlan, batch_count
from domain.canary import Canary, Trial
from domain.delivery import DeliveryStatus
from domain.event import RequestStamp
from domain.graph_codes import OUTSIDE_WINDOW
from domain.message import Message, next_retry_count, replaces_content, resume_corrected
from domain.message_events import MessageResumed, RetryRequested
from domain.retry import RetrySelection, RetryState, RetryTrigger, SkipReason, skip_reason
from domain.retry_prediction import PredictedCause, Prediction, predict
from projections import pages, retry_groups
from projections.message_rows import MessageRow
from projections.retry_groups import FailedRecipientRow, RetryContext
from projections.sql import Sql

NOBODY: frozenset[str] = frozenset()


class RetryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of a round, and its last recipient if more may follow.

    `total`, `skipped` and `predictions` are of the whole round, and stand in its first slice; `taken` are the standings
    that it takes, `waiting` the named recipients beyond the slice.
    """

    recipients: Sequence[BatchRecipient]
    total: int
    skipped: Mapping[SkipReason, int]
    predictions: Mapping[Prediction, int] = {}
    taken: Sequence[RetryState] = ()
    after: str = ""
    waiting: tuple[str, ...] = ()


class ResendCriteria(msgspec.Struct, frozen=True, kw_only=True):
    """What a round asks for: named recipients, or all that a selection takes, after those of the slice before.

    `taken` spares a later slice from judging all of the message again: a standing is judged alike each time. Who has
    `changed` is not taken; a canary has a `limit`; `predicts` asks for exact predictions, and for no recipients: a dry
    run needs only what SQL counts.
    """

    selection: RetrySelection
    recipient_ids: tuple[str, ...] = ()
    taken: Sequence[RetryState] = ()
    after: str = ""
    changed: Collection[str] = NOBODY
    limit: int | None = None
    predicts: bool = False


def judged_by(sql: Sql, message: MessageRow, from_batch: int = 0) -> RetryContext:
    """What the message's recipients are judged by now; with `from_batch` only those of this batch and later ones."""
    page = pages.find(sql, message.page_id)
    return RetryContext(
        message_id=message.message_id,
        max_attempts=message.retry_policy.max_attempts,
        token_generation=page.token_generation if page else 0,
        from_batch=from_batch,
    )


def plan_retry(sql: Sql, message: MessageRow, whom: ResendCriteria) -> RetryPlan:
    """The next slice of a round."""
    if whom.recipient_ids:
        return _plan_named(sql, message, whom)
    judged = judged_by(sql, message, whom.selection.from_batch)
    if whom.taken:
        recipients, after = _next_slice(sql, judged, whom.taken, whom)
        return RetryPlan(recipients=recipients, total=0, skipped={}, taken=whom.taken, after=after)
    survey = survey_of_all(sql, message, judged, whom.changed, tells_window=whom.predicts)
    findings = judge(survey, message, whom.selection)
    recipients, after = ((), "") if whom.predicts else _next_slice(sql, judged, findings.taken, whom)
    return RetryPlan(
        recipients=recipients,
        total=findings.total,
        skipped=findings.skipped,
        predictions=findings.predictions if whom.predicts else {},
        taken=findings.taken,
        after=after,
    )


def _next_slice(
    sql: Sql, judged: RetryContext, taken: Sequence[RetryState], whom: ResendCriteria
) -> tuple[Sequence[BatchRecipient], str]:
    """The recipients, and the last of them if more may follow."""
    most = PLAN_SLICE if whom.limit is None else min(PLAN_SLICE, whom.limit)
    at_once = PLAN_SLICE if whom.changed else most
    found: list[BatchRecipient] = []
    after = whom.after
    while len(found) < most:
        rows = retry_groups.next_attempts(sql, judged, taken, after=after, limit=at_once)
        found += [row for row in rows if row.id not in whom.changed]
        if len(rows) < at_once:
            break
        after = rows[-1].id
    del found[most:]
    return found, found[-1].id if len(found) == most else ""


def awaiting_automatic_round(sql: Sql, message: MessageRow) -> int:
    """Return how many recipients the message's next automatic round would take."""
    selection = automatic_selection(message.automatic_from_batch)
    survey = survey_of_all(sql, message, judged_by(sql, message, selection.from_batch), NOBODY, tells_window=False)
    return judge(survey, message, selection).total


def _plan_named(sql: Sql, message: MessageRow, whom: ResendCriteria) -> RetryPlan:
    named = dict.fromkeys(whom.recipient_ids)
    rows = retry_groups.find_named(sql, judged_by(sql, message), list(named))
    findings = judge(survey_of_named(rows, whom.changed, unknown=len(named) - len(rows)), message, whom.selection)
    taken = [row for row in rows if _is_taken(row, message, whom)]
    most = len(taken) if whom.limit is None else whom.limit
    return RetryPlan(
        recipients=[_next_attempt(row) for row in taken[:most]],
        total=findings.total,
        skipped=findings.skipped,
        predictions=findings.predictions if whom.predicts else {},
        waiting=tuple(row.recipient_id for row in taken[most:]),
    )


def _is_taken(row: FailedRecipientRow, message: MessageRow, whom: ResendCriteria) -> bool:
    has_changed = row.recipient_id in whom.changed
    return why_not(row.retry_state, message, whom.selection, has_changed=has_changed) is None


def _next_attempt(row: FailedRecipientRow) -> BatchRecipient:
    return BatchRecipient(
        id=row.recipient_id,
        name=row.recipient_name,
        attempt_number=row.attempts + 1,
        origin_batch=row.origin_batch,
        origin_position=row.origin_position,
        content_round=row.content_round,
    )


# All of a message's recipients, or those named, as a resend judges them: whom it takes, and why not the others.


class Kind(NamedTuple):
    """Recipients that are judged alike; who has changed since the sequence that was named is not taken."""

    standing: RetryState
    outside_window: bool = False
    has_changed: bool = False


class Survey(msgspec.Struct, frozen=True):
    """How many recipients there are of each kind, and of those who need no judging."""

    kinds: Mapping[Kind, int]
    unjudged: Mapping[SkipReason, int]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a resend takes: those of these standings, but for who has changed; and what becomes of all."""

    taken: Sequence[RetryState]
    total: int
    skipped: Mapping[SkipReason, int]
    predictions: Mapping[Prediction, int]


def survey_of_all(
    sql: Sql, message: MessageRow, judged: RetryContext, changed: Collection[str], *, tells_window: bool
) -> Survey:
    """All recipients; `tells_window` tells permanent errors apart, which takes a look at each permission error."""
    kinds = Counter({Kind(standing): count for standing, count in retry_groups.count_groups(sql, judged).items()})
    if tells_window:
        for standing, count in retry_groups.count_outside_window(sql, judged).items():
            kinds[Kind(standing)] -= count
            kinds[Kind(standing, outside_window=True)] += count
    for (standing, is_outside), count in (
        retry_groups.count_groups_among(sql, judged, changed) if changed else {}
    ).items():
        kind = Kind(standing, outside_window=tells_window and is_outside)
        kinds[kind] -= count
        kinds[kind._replace(has_changed=True)] += count
    closed = {
        SkipReason.ALREADY_SENT: message.counts[DeliveryStatus.SENT],
        SkipReason.IN_PROGRESS: message.open_deliveries,
        SkipReason.CANCELLED: message.counts[DeliveryStatus.CANCELLED],
    }
    return Survey(+kinds, closed)


def survey_of_named(rows: Sequence[FailedRecipientRow], changed: Collection[str], *, unknown: int) -> Survey:
    """Those of the named whom the message has, and how many it has not."""
    kinds = Counter(_kind(row, has_changed=row.recipient_id in changed) for row in rows)
    return Survey(kinds, {SkipReason.UNKNOWN_RECIPIENT: unknown})


def _kind(row: FailedRecipientRow, *, has_changed: bool) -> Kind:
    is_permanent = row.retry_state.status is DeliveryStatus.FAILED
    is_outside = is_permanent and (row.error_code, row.error_subcode) in OUTSIDE_WINDOW
    return Kind(row.retry_state, outside_window=is_outside, has_changed=has_changed)


def judge(survey: Survey, message: MessageRow, selection: RetrySelection) -> Findings:
    """Who of them is taken, and what is to be expected."""
    skipped = Counter(survey.unjudged)
    predictions = Counter({Prediction(PredictedCause(reason)): count for reason, count in survey.unjudged.items()})
    taken: dict[RetryState, None] = {}
    total = 0
    for kind, count in survey.kinds.items():
        reason = why_not(kind.standing, message, selection, has_changed=kind.has_changed)
        predictions[_predicted(kind, message, selection, reason)] += count
        if reason is None:
            taken[kind.standing] = None
            total += count
        else:
            skipped[reason] += count
    return Findings(taken=list(taken), total=total, skipped=+skipped, predictions=+predictions)


def why_not(
    standing: RetryState, message: MessageRow, selection: RetrySelection, *, has_changed: bool
) -> SkipReason | None:
    """Why a recipient is not taken; None when it is."""
    reason = skip_reason(standing, selection, message.on_unconfirmed)
    return SkipReason.CHANGED_SINCE if reason is None and has_changed else reason


def _predicted(kind: Kind, message: MessageRow, selection: RetrySelection, skipped: SkipReason | None) -> Prediction:
    return predict(
        kind.standing,
        skipped,
        outside_window=kind.outside_window,
        page_is_held=message.page_hold is not None,
        content_changed=selection.content_changed,
    )


# What a round was ordered by: whoever goes on with it, asks for the same.


class RoundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Who starts a round and why; `tick` names the timer's run. Empty recipient_ids name nobody."""

    message_id: str
    trigger: RetryTrigger
    requested_by: str
    selection: RetrySelection
    recipient_ids: tuple[str, ...] = ()
    tick: str = ""
    request: RequestStamp | None = None
    canary: Canary | None = None
    messages_per_second: float = 0.0
    reason: str = ""
    sealed_content: bytes = b""  # corrected; empty for a round that sends what its recipients were sent before

    def slice(
        self,
        message: Message,
        batches: BatchPlan,
        plan: RetryPlan,
        trial: Trial | None,
        *,
        is_first: bool,
        is_under_way: bool,
    ) -> RetryRequested:
        """The event of the round's next slice, which brings the recipients of the plan.

        `is_under_way`: another round of the message, or its first send, has not ended.
        """
        sets_limit = is_first and self.trigger is RetryTrigger.MANUAL
        has_more = is_first and trial is None and bool(plan.after)
        return RetryRequested(
            message_id=message.id,
            round=batches.round,
            trigger=self.trigger,
            requested_by=self.requested_by,
            selection=self.selection,
            first_batch=batches.first_batch,
            batches=batch_count(len(plan.recipients)),
            recipients=len(plan.recipients),
            last_recipient=plan.after,
            retry_count=next_retry_count(message, self.trigger) if is_first else message.retry_count,
            tick=self.tick,
            request=self._answered(batches.round, plan) if is_first else None,
            reason=self.reason if is_first else "",
            skipped=dict(plan.skipped) if is_first else {},
            trial=trial,
            goes_on=has_more and message.open_round is None,  # a message has one open round
            messages_per_second=self.messages_per_second,
            sealed_content=self.sealed_content if is_first else b"",
            replaces_content=is_first and self.replaces_content(message),
            automatic_from_batch=(
                limit_after_resend(message, self.selection, is_under_way=is_under_way)
                if sets_limit
                else message.automatic_from_batch
            ),
            time=batches.time,
        )

    def replaces_content(self, message: Message) -> bool:
        """Return whether the round's content also replaces those of deliveries that the round does not take."""
        return bool(self.sealed_content) and replaces_content(message, self.selection)

    def resumes(self, message: Message, now: datetime) -> Sequence[MessageResumed]:
        """Return the event that lets a stopped message go on with the corrected content; a canary goes first alone."""
        if self.canary is not None or not self.replaces_content(message):
            return ()
        resumed = resume_corrected(message, requested_by=self.requested_by, now=now)
        return () if resumed is None else (resumed,)

    def _answered(self, number: int, plan: RetryPlan) -> RequestStamp | None:
        """What the same request is answered by, should it come again."""
        if self.request is None:
            return None
        answer = {"round": number, "skipped": dict(plan.skipped), "recipients": plan.total}
        return msgspec.structs.replace(self.request, answer=answer)
