"""ListRetries: a message's rounds with their outcomes; and when its next automatic round starts."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from domain.delivery import DeliveryStatus
from domain.event import Event
from domain.message import check_not_archived, fold
from domain.message_events import RetryRequested, RetryStopped
from domain.retry import RetryType
from domain.streams import message_stream
from projections import pages
from projections.batches import attempt_counts_by_round
from projections.message_rows import MessageRow
from projections.sql import Micros, Sql, from_micros
from server.background.due_rounds import OWNER_SECONDS
from server.background.timer_report import RetrySchedule
from server.cluster.page_leases import retry_after_times
from server.commands.lookup import require_message
from server.commands.resend_planning import count_automatically_retryable
from server.eventstore.commit import EventLog

Times = Mapping[str, datetime]  # by message id
# A round that is due starts within about a second, or OWNER_SECONDS if another process owns the page.
STARTS_WITHIN = timedelta(seconds=OWNER_SECONDS + 5) // timedelta(microseconds=1)


class CanaryState(StrEnum):
    """The state of a canary."""

    UNDER_WAY = "UNDER_WAY"
    PASSED = "PASSED"
    STOPPED = "STOPPED"


class RetryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which message's rounds to list."""

    owner: str
    message_id: str


class RetryRound(msgspec.Struct, frozen=True, kw_only=True):
    """A round: its first slice, how many recipients it has taken so far, and its attempts by status."""

    first_slice: RetryRequested
    recipients: int
    batches: int
    attempts: Mapping[DeliveryStatus, int]
    canary: CanaryState | None


async def list_retries(log: EventLog, wanted: RetryFilter, *, before: int, limit: int) -> Sequence[RetryRound]:
    """Return rounds, newest first, before a round; raises MessageNotFound, MessageIsArchived, Unavailable."""
    await log.read(lambda sql: require_message(sql, wanted.owner, wanted.message_id))
    events = await log.load(message_stream(wanted.message_id))
    message = fold(wanted.message_id, events)
    check_not_archived(message)
    rounds = _slices_of_rounds(events)
    shown = sorted((number for number in rounds if number < before), reverse=True)[:limit]
    attempts = await log.read(lambda sql: attempt_counts_by_round(sql, wanted.message_id, shown)) if shown else {}
    stopped = {event.round for event in events if isinstance(event, RetryStopped)}
    return [
        _round(rounds[number], attempts.get(number, {}), is_stopped=number in stopped or message.cancelled)
        for number in shown
    ]


def _slices_of_rounds(events: Sequence[Event]) -> Mapping[int, Sequence[RetryRequested]]:
    found: dict[int, list[RetryRequested]] = {}
    for event in events:
        if isinstance(event, RetryRequested):
            found.setdefault(event.round, []).append(event)
    return found


def _round(slices: Sequence[RetryRequested], attempts: Mapping[DeliveryStatus, int], *, is_stopped: bool) -> RetryRound:
    return RetryRound(
        first_slice=slices[0],
        recipients=sum(one.recipients for one in slices),
        batches=sum(one.batches for one in slices),
        attempts=attempts,
        canary=_canary(slices, is_stopped=is_stopped),
    )


def _canary(slices: Sequence[RetryRequested], *, is_stopped: bool) -> CanaryState | None:
    """Return the state of a round's canary; it passed if another slice followed."""
    if slices[0].trial is None:
        return None
    if len(slices) > 1:
        return CanaryState.PASSED
    return CanaryState.STOPPED if is_stopped else CanaryState.UNDER_WAY


class _PageBlocks(msgspec.Struct, frozen=True):
    """The database's clock, when paused pages may send again, and the pages on hold."""

    now: Micros
    retry_after: Mapping[str, Micros]
    held: Collection[str]


class NextRoundTimes:
    """When the next automatic rounds start: by the message's own schedule, or by the retry timer."""

    def __init__(self, log: EventLog, schedule: Callable[[], Awaitable[RetrySchedule]]) -> None:
        self._log = log
        self._schedule = schedule

    async def of(self, messages: Sequence[MessageRow]) -> Times:
        """Return the time of the next automatic round of each message that may have one; raises Unavailable."""
        waiting = [message for message in messages if _may_have_round(message)]
        waiting = [message for message in waiting if await self._has_recipients(message)]
        if not waiting:
            return {}
        blocks = await self._log.read(lambda sql: _page_blocks(sql, {message.page_id for message in waiting}))
        schedule = await self._schedule()
        times = {message.message_id: _time(message, blocks, schedule) for message in waiting}
        return {message_id: time for message_id, time in times.items() if time is not None}

    async def _has_recipients(self, message: MessageRow) -> bool:
        """False if automatic rounds are limited, and none of the recipients within the limit can be retried."""
        if not message.automatic_from_batch:
            return True
        return await self._log.read(lambda sql: count_automatically_retryable(sql, message)) > 0


def _may_have_round(message: MessageRow) -> bool:
    """Return whether a later automatic round may come; whether it takes a recipient is decided when it starts."""
    has_failures = message.counts[DeliveryStatus.FAILED] + message.counts[DeliveryStatus.UNCONFIRMED] > 0
    policy, is_stopped = message.retry_policy, message.cancelled or message.paused or message.suspended
    is_later = policy.type is RetryType.CRON if policy.delay is None else message.next_retry_time is not None
    return has_failures and is_later and not is_stopped and policy.has_rounds_left(message.retry_count)


def _page_blocks(sql: Sql, page_ids: Collection[str]) -> _PageBlocks:
    return _PageBlocks(sql.clock(), retry_after_times(sql), pages.holds(sql, page_ids).keys())


def _time(message: MessageRow, blocks: _PageBlocks, schedule: RetrySchedule) -> datetime | None:
    """Return when the next round is due; None if its time passed and it found no recipient to retry."""
    if message.page_id in blocks.held:
        return None
    opens = blocks.retry_after.get(message.page_id, 0)
    if message.next_retry_time is None:
        return schedule.run_from(from_micros(opens))
    due = max(message.next_retry_time, opens)
    return from_micros(due) if due > blocks.now - STARTS_WITHIN else None
