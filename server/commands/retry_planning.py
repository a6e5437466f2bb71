"""Plans a round: who is taken, who is skipped and why, in slices of 10,000 (protocol rule 14)."""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from domain.batch_events import BatchRecipient
from domain.batch_plan import PLAN_SLICE
from domain.delivery import DeliveryStatus
from domain.retry import RetrySelection, SkipReason, Standing, verdict
from projections import pages, standings
from projections.message_rows import MessageRow
from projections.sql import Sql
from projections.standings import FailedRow, Judged


class RetryPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One slice of a round, and its last recipient if more may follow.

    `total` and `skipped` are of the whole round, and stand in its first slice; `taken` are the standings that it takes.
    """

    recipients: Sequence[BatchRecipient]
    total: int
    skipped: Mapping[SkipReason, int]
    taken: Sequence[Standing] = ()
    after: str = ""


class WhomToRetry(msgspec.Struct, frozen=True, kw_only=True):
    """What a round asks for: named recipients, or all that a selection takes, after those of the slice before.

    `taken` spares a later slice from judging all of the message again: a standing is judged alike each time.
    """

    selection: RetrySelection
    recipient_ids: tuple[str, ...] = ()
    taken: Sequence[Standing] = ()
    after: str = ""


def judged_by(sql: Sql, message: MessageRow) -> Judged:
    """What the message's recipients are judged by now."""
    page = pages.find(sql, message.page_id)
    return Judged(
        message_id=message.message_id,
        max_attempts=message.retry_policy.max_attempts,
        token_generation=page.token_generation if page else 0,
    )


def plan_retry(sql: Sql, message: MessageRow, whom: WhomToRetry) -> RetryPlan:
    """The next slice of a round."""
    if whom.recipient_ids:
        return _plan_named(sql, message, whom)
    judged = judged_by(sql, message)
    groups = {} if whom.taken else standings.groups(sql, judged)
    taken, skipped = (whom.taken, {}) if whom.taken else _judge(groups, message, whom.selection)
    recipients = standings.next_attempts(sql, judged, taken, after=whom.after, limit=PLAN_SLICE)
    return RetryPlan(
        recipients=recipients,
        total=sum(groups.get(standing, 0) for standing in taken),
        skipped=skipped,
        taken=taken,
        after=recipients[-1].id if len(recipients) == PLAN_SLICE else "",
    )


def retryable(sql: Sql, message: MessageRow, selection: RetrySelection) -> int:
    """How many recipients a resend would take."""
    groups = standings.groups(sql, judged_by(sql, message))
    taken, _ = _judge(groups, message, selection)
    return sum(groups[standing] for standing in taken)


def _judge(
    groups: Mapping[Standing, int], message: MessageRow, selection: RetrySelection
) -> tuple[Sequence[Standing], Mapping[SkipReason, int]]:
    taken = []
    skipped: Counter[SkipReason] = Counter()
    for standing, recipients in groups.items():
        reason = verdict(standing, selection, message.on_unconfirmed)
        if reason is None:
            taken.append(standing)
        else:
            skipped[reason] += recipients
    skipped[SkipReason.ALREADY_SENT] += message.counts[DeliveryStatus.SENT]
    skipped[SkipReason.IN_PROGRESS] += message.open_deliveries
    skipped[SkipReason.CANCELLED] += message.counts[DeliveryStatus.CANCELLED]
    return taken, +skipped


def _plan_named(sql: Sql, message: MessageRow, whom: WhomToRetry) -> RetryPlan:
    named = dict.fromkeys(whom.recipient_ids)
    rows = standings.named(sql, judged_by(sql, message), list(named))
    taken = []
    skipped: Counter[SkipReason] = Counter({SkipReason.UNKNOWN_RECIPIENT: len(named) - len(rows)})
    for row in rows:
        reason = verdict(row.standing, whom.selection, message.on_unconfirmed)
        if reason is None:
            taken.append(_next_attempt(row))
        else:
            skipped[reason] += 1
    return RetryPlan(recipients=taken, total=len(taken), skipped=+skipped)


def _next_attempt(row: FailedRow) -> BatchRecipient:
    return standings.next_attempt(
        recipient_id=row.recipient_id,
        recipient_name=row.recipient_name,
        attempts=row.attempts,
        origin_batch=row.origin_batch,
        origin_position=row.origin_position,
    )
