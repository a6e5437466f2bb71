"""Planning of rounds: which recipients a round takes, and which it skips and why (protocol rule 14)."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from domain.automatic_rounds import automatic_selection
from domain.batch_events import BatchRecipient
from domain.batch_plan import PLAN_SLICE
from domain.canary import Canary
from domain.delivery import DeliveryStatus
from domain.event import RequestStamp
from domain.graph_codes import OUTSIDE_WINDOW
from domain.retry import RetrySelection, RetryState, RetryTrigger, SkipReason, skip_reason
from domain.retry_prediction import PredictedCause, Prediction, predict
from projections import pages, retry_groups
from projections.message_rows import MessageRow
from projections.retry_groups import FailedRecipientRow, RetryContext
from projections.sql import Sql

NO_RECIPIENTS: frozenset[str] = frozenset()


class RoundRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a round is asked for, by a ResendMessage, by the retry policy, or by the first slice of an open round.

    Without `recipient_ids` the round takes all eligible recipients of the message. `tick` names the retry timer's run.
    `stamp` identifies the caller's request. Without `sealed_content` each recipient gets the content of their last
    attempt again.
    """

    message_id: str
    trigger: RetryTrigger
    requested_by: str
    selection: RetrySelection
    recipient_ids: tuple[str, ...] = ()
    tick: str = ""
    stamp: RequestStamp | None = None
    canary: Canary | None = None
    messages_per_second: float = 0.0
    sealed_reason: str = ""
    sealed_content: bytes = b""


class SliceProgress(NamedTuple):
    """What is known of a round before its next slice.

    The slice takes recipients after `last_recipient`. With the `eligible` groups of the slice before, the message's
    recipients need not be counted again. The round does not take recipients that have `changed`.
    """

    last_recipient: str = ""
    eligible: Sequence[RetryState] = ()
    changed: Collection[str] = NO_RECIPIENTS


FIRST_SLICE = SliceProgress()


class SlicePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of a round, at most 10,000 recipients.

    `last_recipient` is empty if no slice follows. `total`, `skipped` and `predictions` are of the whole round, and only
    its first slice has them. `eligible` are the groups that the round takes. `waiting` are named recipients that the
    round takes after its canary.
    """

    recipients: Sequence[BatchRecipient]
    total: int
    skipped: Mapping[SkipReason, int]
    predictions: Mapping[Prediction, int] = {}
    eligible: Sequence[RetryState] = ()
    last_recipient: str = ""
    waiting: tuple[str, ...] = ()


def plan_slice(
    sql: Sql,
    message: MessageRow,
    request: RoundRequest,
    progress: SliceProgress = FIRST_SLICE,
    *,
    is_dry_run: bool = False,
) -> SlicePlan:
    """Plan the next slice of a round.

    A dry run predicts the result for every recipient, and returns recipients only if the request names them.
    """
    if request.recipient_ids:
        return _plan_named(sql, message, request, progress.changed, is_dry_run=is_dry_run)
    context = retry_context(sql, message, request.selection.from_batch)
    if progress.eligible:
        recipients, last = _next_recipients(sql, context, request, progress)
        return SlicePlan(recipients=recipients, total=0, skipped={}, eligible=progress.eligible, last_recipient=last)
    counts = _count_all(sql, message, context, progress.changed, is_dry_run=is_dry_run)
    found = _eligibility(counts, message, request.selection)
    progress = progress._replace(eligible=found.eligible)
    recipients, last = ((), "") if is_dry_run else _next_recipients(sql, context, request, progress)
    return SlicePlan(
        recipients=recipients,
        total=found.total,
        skipped=found.skipped,
        predictions=found.predictions if is_dry_run else {},
        eligible=found.eligible,
        last_recipient=last,
    )


def _next_recipients(
    sql: Sql, context: RetryContext, request: RoundRequest, progress: SliceProgress
) -> tuple[Sequence[BatchRecipient], str]:
    """Return the recipients of the next slice, and the last of them if more may follow."""
    most = PLAN_SLICE if request.canary is None else min(PLAN_SLICE, request.canary.recipients)
    rows_at_once = PLAN_SLICE if progress.changed else most
    found: list[BatchRecipient] = []
    after = progress.last_recipient
    while len(found) < most:
        rows = retry_groups.next_attempts(sql, context, progress.eligible, after=after, limit=rows_at_once)
        found += [row for row in rows if row.id not in progress.changed]
        if len(rows) < rows_at_once:
            break
        after = rows[-1].id
    del found[most:]
    return found, found[-1].id if len(found) == most else ""


def _plan_named(
    sql: Sql, message: MessageRow, request: RoundRequest, changed: Collection[str], *, is_dry_run: bool
) -> SlicePlan:
    """Plan the named recipients, at most 10,000, as one slice."""
    named = dict.fromkeys(request.recipient_ids)
    rows = retry_groups.find_named(sql, retry_context(sql, message), list(named))
    counts = _count_named(rows, changed, unknown=len(named) - len(rows))
    found = _eligibility(counts, message, request.selection)
    taken = [row for row in rows if _reason_to_skip(_group_of(row, changed), message, request.selection) is None]
    most = len(taken) if request.canary is None else request.canary.recipients
    return SlicePlan(
        recipients=[_next_attempt(row) for row in taken[:most]],
        total=found.total,
        skipped=found.skipped,
        predictions=found.predictions if is_dry_run else {},
        waiting=tuple(row.recipient_id for row in taken[most:]),
    )


def _next_attempt(row: FailedRecipientRow) -> BatchRecipient:
    return BatchRecipient(
        id=row.recipient_id,
        name=row.recipient_name,
        attempt_number=row.attempts + 1,
        origin_batch=row.origin_batch,
        origin_position=row.origin_position,
        content_round=row.content_round,
    )


def retry_context(sql: Sql, message: MessageRow, from_batch: int = 0) -> RetryContext:
    """Return what the eligibility of a message's recipients depends on now, besides their own last attempts.

    With `from_batch` only recipients with an attempt in this batch or a later one are found.
    """
    page = pages.find(sql, message.page_id)
    return RetryContext(
        message_id=message.message_id,
        max_attempts=message.retry_policy.max_attempts,
        token_generation=page.token_generation if page else 0,
        from_batch=from_batch,
    )


def count_automatically_retryable(sql: Sql, message: MessageRow) -> int:
    """Return how many recipients the message's next automatic round would take."""
    selection = automatic_selection(message.automatic_from_batch)
    context = retry_context(sql, message, selection.from_batch)
    return _eligibility(_count_all(sql, message, context, NO_RECIPIENTS, is_dry_run=False), message, selection).total


class _Group(NamedTuple):
    """Recipients for whom a round has the same decision and the same prediction.

    `outside_window` is known in dry runs only. `has_changed`: since the selection's as_of_sequence.
    """

    retry_state: RetryState
    outside_window: bool = False
    has_changed: bool = False


class _GroupCounts(NamedTuple):
    """The number of recipients of each group, and of those that every selection skips."""

    groups: Mapping[_Group, int]
    always_skipped: Mapping[SkipReason, int]


class _Eligibility(msgspec.Struct, frozen=True, kw_only=True):
    """Which recipients a round takes: those of the eligible groups that have not changed."""

    eligible: Sequence[RetryState]
    total: int
    skipped: Mapping[SkipReason, int]
    predictions: Mapping[Prediction, int]


def _count_all(
    sql: Sql, message: MessageRow, context: RetryContext, changed: Collection[str], *, is_dry_run: bool
) -> _GroupCounts:
    """Count all recipients; a dry run reads each permanent permission error, to find those outside the window."""
    groups = Counter(
        {_Group(retry_state): count for retry_state, count in retry_groups.count_groups(sql, context).items()}
    )
    if is_dry_run:
        for retry_state, count in retry_groups.count_outside_window(sql, context).items():
            groups[_Group(retry_state)] -= count
            groups[_Group(retry_state, outside_window=True)] += count
    for (retry_state, is_outside), count in (
        retry_groups.count_groups_among(sql, context, changed) if changed else {}
    ).items():
        group = _Group(retry_state, outside_window=is_dry_run and is_outside)
        groups[group] -= count
        groups[group._replace(has_changed=True)] += count
    always_skipped = {
        SkipReason.ALREADY_SENT: message.counts[DeliveryStatus.SENT],
        SkipReason.IN_PROGRESS: message.open_deliveries,
        SkipReason.CANCELLED: message.counts[DeliveryStatus.CANCELLED],
    }
    return _GroupCounts(+groups, always_skipped)


def _count_named(rows: Sequence[FailedRecipientRow], changed: Collection[str], *, unknown: int) -> _GroupCounts:
    """Count named recipients; `unknown` are those that the message does not have."""
    return _GroupCounts(Counter(_group_of(row, changed) for row in rows), {SkipReason.UNKNOWN_RECIPIENT: unknown})


def _group_of(row: FailedRecipientRow, changed: Collection[str]) -> _Group:
    is_permanent = row.retry_state.status is DeliveryStatus.FAILED
    is_outside = is_permanent and (row.error_code, row.error_subcode) in OUTSIDE_WINDOW
    return _Group(row.retry_state, outside_window=is_outside, has_changed=row.recipient_id in changed)


def _eligibility(counts: _GroupCounts, message: MessageRow, selection: RetrySelection) -> _Eligibility:
    skipped = Counter(counts.always_skipped)
    predictions = Counter(
        {Prediction(PredictedCause(reason)): count for reason, count in counts.always_skipped.items()}
    )
    eligible: dict[RetryState, None] = {}
    total = 0
    for group, count in counts.groups.items():
        reason = _reason_to_skip(group, message, selection)
        predictions[_prediction(group, message, selection, reason)] += count
        if reason is None:
            eligible[group.retry_state] = None
            total += count
        else:
            skipped[reason] += count
    return _Eligibility(eligible=list(eligible), total=total, skipped=+skipped, predictions=+predictions)


def _reason_to_skip(group: _Group, message: MessageRow, selection: RetrySelection) -> SkipReason | None:
    """Return why a round skips recipients of this group, or None if it takes them."""
    reason = skip_reason(group.retry_state, selection, message.on_unconfirmed)
    return SkipReason.CHANGED_SINCE if reason is None and group.has_changed else reason


def _prediction(
    group: _Group, message: MessageRow, selection: RetrySelection, skip_reason: SkipReason | None
) -> Prediction:
    return predict(
        group.retry_state,
        skip_reason,
        outside_window=group.outside_window,
        page_is_held=message.page_hold is not None,
        content_changed=selection.content_changed,
    )
