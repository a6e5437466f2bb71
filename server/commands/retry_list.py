"""ListRetries: every round of a message's resends, and what came of it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from domain.delivery import DeliveryStatus
from domain.event import Event
from domain.message import check_not_archived, fold
from domain.message_events import RetryRequested, RetryStopped
from domain.streams import message_stream
from projections.batch_rounds import attempts_of_rounds
from server.commands.lookup import find_message
from server.log.commit import EventLog


class CanaryState(StrEnum):
    """How far a canary is."""

    UNDER_WAY = "UNDER_WAY"
    PASSED = "PASSED"
    STOPPED = "STOPPED"


class RetryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Whose rounds a list shows."""

    owner: str
    message_id: str


class RetryRound(msgspec.Struct, frozen=True, kw_only=True):
    """A round: how it was asked for, by its first slice, what it has taken by now, and what became of its attempts."""

    asked: RetryRequested
    recipients: int
    batches: int
    attempts: Mapping[DeliveryStatus, int]
    canary: CanaryState | None


async def list_retries(log: EventLog, wanted: RetryFilter, *, before: int, limit: int) -> Sequence[RetryRound]:
    """Rounds, newest first, before the last one seen; raises MessageNotFound, MessageIsArchived, Unavailable."""
    await log.read(lambda sql: find_message(sql, wanted.owner, wanted.message_id))
    events = await log.load(message_stream(wanted.message_id))
    message = fold(wanted.message_id, events)
    check_not_archived(message)
    rounds = _slices_of_rounds(events)
    shown = sorted((number for number in rounds if number < before), reverse=True)[:limit]
    attempts = await log.read(lambda sql: attempts_of_rounds(sql, wanted.message_id, shown)) if shown else {}
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
        asked=slices[0],
        recipients=sum(one.recipients for one in slices),
        batches=sum(one.batches for one in slices),
        attempts=attempts,
        canary=_canary(slices, is_stopped=is_stopped),
    )


def _canary(slices: Sequence[RetryRequested], *, is_stopped: bool) -> CanaryState | None:
    """It has passed once anything followed it."""
    if slices[0].trial is None:
        return None
    if len(slices) > 1:
        return CanaryState.PASSED
    return CanaryState.STOPPED if is_stopped else CanaryState.UNDER_WAY
