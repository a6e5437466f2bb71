"""ListFailed: failed and unconfirmed recipients, and which of them a plain resend takes now."""

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
from server.commands.lookup import require_message
from server.commands.resend_planning import retry_context

FEW = 0.02  # of all failures: below that share it is faster to sort the wanted rows than to scan all rows in order
MAX_CACHED_MESSAGES = 100

_Key = tuple[str, int, int, int]  # message id, its sequence, its limit of attempts, its page's token generation


class RetryGroupCache:
    """Counts of recipients by retry group, kept until the message changes.

    Without the cache, counting took most of the time of each page of a list. The least recently used message is dropped
    first. Use it for the current read models only: in a past state the same sequence has other counts.
    """

    def __init__(self) -> None:
        self._counts: OrderedDict[_Key, Mapping[RetryState, int]] = OrderedDict()
        self._lock = Lock()

    def of(self, sql: Sql, message: MessageRow, context: RetryContext) -> Mapping[RetryState, int]:
        """Return `retry_groups.count_groups`. The message is of the same snapshot: a change raises its sequence."""
        key = (message.message_id, message.sequence, context.max_attempts, context.token_generation)
        with self._lock:
            if key in self._counts:
                self._counts.move_to_end(key)
                return self._counts[key]
        found = retry_groups.count_groups(sql, context)
        with self._lock:
            self._counts[key] = found
            if len(self._counts) > MAX_CACHED_MESSAGES:
                self._counts.popitem(last=False)
        return found


def uncached_counts(sql: Sql, _message: MessageRow, context: RetryContext) -> Mapping[RetryState, int]:
    """Return `retry_groups.count_groups`, without a cache."""
    return retry_groups.count_groups(sql, context)


class FailureFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which failures to list; an empty field does not filter."""

    owner: str
    message_id: str
    error_types: tuple[ErrorType, ...] = ()
    retryable_only: bool = False


class Failure(msgspec.Struct, frozen=True):
    """A recipient, whether a plain resend takes it now, and whether it is within the limit of automatic rounds."""

    row: FailedRecipientRow
    retryable: bool
    within_limit: bool = True


class FailureList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of failures; the counts are of the whole message, without the filter."""

    message: MessageRow
    failures: Sequence[Failure]
    retryable_count: int
    error_types: Mapping[ErrorType, int]


GroupsOf = Callable[[Sql, MessageRow, RetryContext], Mapping[RetryState, int]]


def list_failures(
    wanted: FailureFilter, *, after: str, limit: int, groups_of: GroupsOf = uncached_counts
) -> Callable[[Sql], FailureList]:
    """Return a query for failures by recipient id, `after` a recipient; raises MessageNotFound."""

    def query(sql: Sql) -> FailureList:
        message = require_message(sql, wanted.owner, wanted.message_id)
        context = retry_context(sql, message)
        groups = groups_of(sql, message, context)
        retryable = frozenset(s for s in groups if not message.cancelled and _takes(s, message))
        shown = [retry_state for retry_state in groups if _is_wanted(retry_state, wanted, retryable)]
        are_few = sum(groups[retry_state] for retry_state in shown) < FEW * sum(groups.values())
        rows = retry_groups.list_failed(sql, context, shown, after=after, limit=limit, are_few=are_few)
        ids = [row.recipient_id for row in rows]
        within_limit = retry_groups.attempted_since(sql, message.message_id, message.automatic_from_batch, ids)
        return FailureList(
            message=message,
            failures=[Failure(row, row.retry_state in retryable, row.recipient_id in within_limit) for row in rows],
            retryable_count=sum(groups[retry_state] for retry_state in retryable),
            error_types=failures.counts_by_type(sql, wanted.message_id),
        )

    return query


def _takes(retry_state: RetryState, message: MessageRow) -> bool:
    return skip_reason(retry_state, DEFAULT_SELECTION, message.on_unconfirmed) is None


def _is_wanted(retry_state: RetryState, wanted: FailureFilter, retryable: frozenset[RetryState]) -> bool:
    if wanted.error_types and retry_state.error_type not in wanted.error_types:
        return False
    return retry_state in retryable or not wanted.retryable_only
