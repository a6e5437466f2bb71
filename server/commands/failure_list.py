"""ListFailed: who failed, why, and whom a plain resend takes now."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from domain.fault import ErrorType
from domain.retry import PLAIN, Standing, verdict
from projections import failures, standings
from projections.message_rows import MessageRow
from projections.sql import Sql
from projections.standings import FailedRow, Judged
from server.commands.failure_groups import counted_anew
from server.commands.lookup import find_message
from server.commands.retry_planning import judged_by

FEW = 0.02  # of all failures: with less, a page of a hundred would look through thousands


class FailureFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which failures a list shows; what is empty does not filter."""

    owner: str
    message_id: str
    error_types: tuple[ErrorType, ...] = ()
    retryable_only: bool = False


class Failure(msgspec.Struct, frozen=True):
    """A recipient, whether a plain resend takes it now, and whether automatic rounds may take it at all."""

    row: FailedRow
    retryable: bool
    within_limit: bool = True


class FailureList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of failures; the counts are of the whole message, whatever the filter."""

    message: MessageRow
    failures: Sequence[Failure]
    retryable_count: int
    error_types: Mapping[ErrorType, int]


GroupsOf = Callable[[Sql, MessageRow, Judged], Mapping[Standing, int]]


def list_failures(
    wanted: FailureFilter, *, after: str, limit: int, groups_of: GroupsOf = counted_anew
) -> Callable[[Sql], FailureList]:
    """The query for one page of failures by recipient id, after the last one seen; raises MessageNotFound."""

    def query(sql: Sql) -> FailureList:
        message = find_message(sql, wanted.owner, wanted.message_id)
        judged = judged_by(sql, message)
        groups = groups_of(sql, message, judged)
        retryable = frozenset(s for s in groups if not message.cancelled and _takes(s, message))
        shown = [standing for standing in groups if _is_wanted(standing, wanted, retryable)]
        are_few = sum(groups[standing] for standing in shown) < FEW * sum(groups.values())
        rows = standings.failed(sql, judged, shown, after=after, limit=limit, are_few=are_few)
        ids = [row.recipient_id for row in rows]
        within_limit = standings.attempted_since(sql, message.message_id, message.automatic_from_batch, ids)
        return FailureList(
            message=message,
            failures=[Failure(row, row.standing in retryable, row.recipient_id in within_limit) for row in rows],
            retryable_count=sum(groups[standing] for standing in retryable),
            error_types=failures.by_type(sql, wanted.message_id),
        )

    return query


def _takes(standing: Standing, message: MessageRow) -> bool:
    return verdict(standing, PLAIN, message.on_unconfirmed) is None


def _is_wanted(standing: Standing, wanted: FailureFilter, retryable: frozenset[Standing]) -> bool:
    if wanted.error_types and standing.error_type not in wanted.error_types:
        return False
    return standing in retryable or not wanted.retryable_only
