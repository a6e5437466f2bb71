"""ListFailed: who failed, why, and whom a plain resend takes now."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock

import msgspec

from domain.fault import ErrorType
from domain.retry import DEFAULT_SELECTION, RetryState, skip_reason
from projections import failures, retry_groups
from projections.message_rows import MessageRow
from projections.retry_groups import FailedRecipientRow, RetryContext
from projections.sql import Sql
from server.commands.lookup import find_message
from server.commands.resend_planning import judged_by

# How many of a message's recipients failed alike, kept for as long as nothing befalls the message.
#
# Counted anew for each page of a list, 100,000 failed recipients took most of its time.


MOST = 100  # messages that are kept: what was asked for longest ago goes first

_Place = tuple[str, int, int, int]


class FailureGroups:
    """Those of the log's own read models: what a message was in the past has the same sequence at other times."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Place, Mapping[RetryState, int]] = OrderedDict()
        self._lock = Lock()

    def of(self, sql: Sql, message: MessageRow, judged: RetryContext) -> Mapping[RetryState, int]:
        """See standings.groups; the message as the same snapshot has it: whatever changes them moves its sequence."""
        place = (message.message_id, message.sequence, judged.max_attempts, judged.token_generation)
        with self._lock:
            if place in self._known:
                self._known.move_to_end(place)
                return self._known[place]
        found = retry_groups.count_groups(sql, judged)
        with self._lock:
            self._known[place] = found
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return found


def uncached_counts(sql: Sql, _message: MessageRow, judged: RetryContext) -> Mapping[RetryState, int]:
    """Whatever was known before."""
    return retry_groups.count_groups(sql, judged)


FEW = 0.02  # of all failures: with less, a page of a hundred would look through thousands


class FailureFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which failures a list shows; what is empty does not filter."""

    owner: str
    message_id: str
    error_types: tuple[ErrorType, ...] = ()
    retryable_only: bool = False


class Failure(msgspec.Struct, frozen=True):
    """A recipient, whether a plain resend takes it now, and whether automatic rounds may take it at all."""

    row: FailedRecipientRow
    retryable: bool
    within_limit: bool = True


class FailureList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of failures; the counts are of the whole message, whatever the filter."""

    message: MessageRow
    failures: Sequence[Failure]
    retryable_count: int
    error_types: Mapping[ErrorType, int]


GroupsOf = Callable[[Sql, MessageRow, RetryContext], Mapping[RetryState, int]]


def list_failures(
    wanted: FailureFilter, *, after: str, limit: int, groups_of: GroupsOf = uncached_counts
) -> Callable[[Sql], FailureList]:
    """The query for one page of failures by recipient id, after the last one seen; raises MessageNotFound."""

    def query(sql: Sql) -> FailureList:
        message = find_message(sql, wanted.owner, wanted.message_id)
        judged = judged_by(sql, message)
        groups = groups_of(sql, message, judged)
        retryable = frozenset(s for s in groups if not message.cancelled and _takes(s, message))
        shown = [standing for standing in groups if _is_wanted(standing, wanted, retryable)]
        are_few = sum(groups[standing] for standing in shown) < FEW * sum(groups.values())
        rows = retry_groups.list_failed(sql, judged, shown, after=after, limit=limit, are_few=are_few)
        ids = [row.recipient_id for row in rows]
        within_limit = retry_groups.attempted_since(sql, message.message_id, message.automatic_from_batch, ids)
        return FailureList(
            message=message,
            failures=[Failure(row, row.retry_state in retryable, row.recipient_id in within_limit) for row in rows],
            retryable_count=sum(groups[standing] for standing in retryable),
            error_types=failures.counts_by_type(sql, wanted.message_id),
        )

    return query


def _takes(standing: RetryState, message: MessageRow) -> bool:
    return skip_reason(standing, DEFAULT_SELECTION, message.on_unconfirmed) is None


def _is_wanted(standing: RetryState, wanted: FailureFilter, retryable: frozenset[RetryState]) -> bool:
    if wanted.error_types and standing.error_type not in wanted.error_types:
        return False
    return standing in retryable or not wanted.retryable_only
