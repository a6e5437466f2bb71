"""Plans a round: who is taken, who is skipped and why, in slices of 10,000 (protocol rule 14)."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from domain.automatic_rounds import automatic_selection
from domain.batch_events import BatchRecipient
from domain.batch_plan import PLAN_SLICE
from domain.retry import RetrySelection, SkipReason, Standing
from domain.retry_prediction import Prediction
from projections import pages, standings
from projections.message_rows import MessageRow
from projections.sql import Sql
from projections.standings import FailedRow, Judged
from server.commands.retry_survey import judge, survey_of_all, survey_of_named, why_not

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
    taken: Sequence[Standing] = ()
    after: str = ""
    waiting: tuple[str, ...] = ()


class WhomToRetry(msgspec.Struct, frozen=True, kw_only=True):
    """What a round asks for: named recipients, or all that a selection takes, after those of the slice before.

    `taken` spares a later slice from judging all of the message again: a standing is judged alike each time. Who has
    `changed` is not taken; a canary has a `limit`; `predicts` asks for exact predictions, and for no recipients: a dry
    run needs only what SQL counts.
    """

    selection: RetrySelection
    recipient_ids: tuple[str, ...] = ()
    taken: Sequence[Standing] = ()
    after: str = ""
    changed: Collection[str] = NOBODY
    limit: int | None = None
    predicts: bool = False


def judged_by(sql: Sql, message: MessageRow, from_batch: int = 0) -> Judged:
    """What the message's recipients are judged by now; with `from_batch` only those of this batch and later ones."""
    page = pages.find(sql, message.page_id)
    return Judged(
        message_id=message.message_id,
        max_attempts=message.retry_policy.max_attempts,
        token_generation=page.token_generation if page else 0,
        from_batch=from_batch,
    )


def plan_retry(sql: Sql, message: MessageRow, whom: WhomToRetry) -> RetryPlan:
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
    sql: Sql, judged: Judged, taken: Sequence[Standing], whom: WhomToRetry
) -> tuple[Sequence[BatchRecipient], str]:
    """The recipients, and the last of them if more may follow."""
    most = PLAN_SLICE if whom.limit is None else min(PLAN_SLICE, whom.limit)
    at_once = PLAN_SLICE if whom.changed else most
    found: list[BatchRecipient] = []
    after = whom.after
    while len(found) < most:
        rows = standings.next_attempts(sql, judged, taken, after=after, limit=at_once)
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


def _plan_named(sql: Sql, message: MessageRow, whom: WhomToRetry) -> RetryPlan:
    named = dict.fromkeys(whom.recipient_ids)
    rows = standings.named(sql, judged_by(sql, message), list(named))
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


def _is_taken(row: FailedRow, message: MessageRow, whom: WhomToRetry) -> bool:
    has_changed = row.recipient_id in whom.changed
    return why_not(row.standing, message, whom.selection, has_changed=has_changed) is None


def _next_attempt(row: FailedRow) -> BatchRecipient:
    return BatchRecipient(
        id=row.recipient_id,
        name=row.recipient_name,
        attempt_number=row.attempts + 1,
        origin_batch=row.origin_batch,
        origin_position=row.origin_position,
        content_round=row.content_round,
    )
