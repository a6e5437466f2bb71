"""All of a message's recipients, or those named, as a resend judges them: whom it takes, and why not the others."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from domain.delivery import DeliveryStatus
from domain.graph_codes import OUTSIDE_WINDOW
from domain.retry import RetrySelection, SkipReason, Standing, verdict
from domain.retry_prediction import Cause, Prediction, predicted
from projections import standings
from projections.message_rows import MessageRow
from projections.sql import Sql
from projections.standings import FailedRow, Judged


class Kind(NamedTuple):
    """Recipients that are judged alike; who has changed since the sequence that was named is not taken."""

    standing: Standing
    outside_window: bool = False
    has_changed: bool = False


class Survey(msgspec.Struct, frozen=True):
    """How many recipients there are of each kind, and of those who need no judging."""

    kinds: Mapping[Kind, int]
    unjudged: Mapping[SkipReason, int]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a resend takes: those of these standings, but for who has changed; and what becomes of all."""

    taken: Sequence[Standing]
    total: int
    skipped: Mapping[SkipReason, int]
    predictions: Mapping[Prediction, int]


def survey_of_all(
    sql: Sql, message: MessageRow, judged: Judged, changed: Collection[str], *, tells_window: bool
) -> Survey:
    """All recipients; `tells_window` tells permanent errors apart, which takes a look at each permission error."""
    kinds = Counter({Kind(standing): count for standing, count in standings.groups(sql, judged).items()})
    if tells_window:
        for standing, count in standings.outside_window(sql, judged).items():
            kinds[Kind(standing)] -= count
            kinds[Kind(standing, outside_window=True)] += count
    for (standing, is_outside), count in (standings.groups_among(sql, judged, changed) if changed else {}).items():
        kind = Kind(standing, outside_window=tells_window and is_outside)
        kinds[kind] -= count
        kinds[kind._replace(has_changed=True)] += count
    closed = {
        SkipReason.ALREADY_SENT: message.counts[DeliveryStatus.SENT],
        SkipReason.IN_PROGRESS: message.open_deliveries,
        SkipReason.CANCELLED: message.counts[DeliveryStatus.CANCELLED],
    }
    return Survey(+kinds, closed)


def survey_of_named(rows: Sequence[FailedRow], changed: Collection[str], *, unknown: int) -> Survey:
    """Those of the named whom the message has, and how many it has not."""
    kinds = Counter(_kind(row, has_changed=row.recipient_id in changed) for row in rows)
    return Survey(kinds, {SkipReason.UNKNOWN_RECIPIENT: unknown})


def _kind(row: FailedRow, *, has_changed: bool) -> Kind:
    is_permanent = row.standing.state is DeliveryStatus.FAILED
    is_outside = is_permanent and (row.error_code, row.error_subcode) in OUTSIDE_WINDOW
    return Kind(row.standing, outside_window=is_outside, has_changed=has_changed)


def judge(survey: Survey, message: MessageRow, selection: RetrySelection) -> Findings:
    """Who of them is taken, and what is to be expected."""
    skipped = Counter(survey.unjudged)
    predictions = Counter({Prediction(Cause(reason)): count for reason, count in survey.unjudged.items()})
    taken: dict[Standing, None] = {}
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
    standing: Standing, message: MessageRow, selection: RetrySelection, *, has_changed: bool
) -> SkipReason | None:
    """Why a recipient is not taken; None when it is."""
    reason = verdict(standing, selection, message.on_unconfirmed)
    return SkipReason.CHANGED_SINCE if reason is None and has_changed else reason


def _predicted(kind: Kind, message: MessageRow, selection: RetrySelection, skipped: SkipReason | None) -> Prediction:
    return predicted(
        kind.standing,
        skipped,
        outside_window=kind.outside_window,
        page_is_held=message.page_hold is not None,
        content_changed=selection.content_changed,
    )
