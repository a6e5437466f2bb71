"""A message: what was asked for, and what its sender may still ask."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from domain.archive_events import MessageArchived
from domain.canary import OpenRound
from domain.errors import CanaryUnderWay, MessageIsArchived, MessageIsCancelled, MessageIsDone, StreamInProgress
from domain.event import Event, RequestStamp
from domain.message_events import (
    MessageAbandoned,
    MessageCancelled,
    MessageCompleted,
    MessagePaused,
    MessageResumed,
    MessageStaged,
    MessageStopped,
    MessageSubmitted,
    RetryRequested,
    RetryStopped,
)
from domain.retry import OnUnconfirmed, RetryPolicy, RetrySelection, RetryTrigger, RetryType
from domain.stop_policy import Stop


class Life(StrEnum):
    """How far a message has come into being."""

    UNKNOWN = "UNKNOWN"
    STAGED = "STAGED"
    ABANDONED = "ABANDONED"
    SUBMITTED = "SUBMITTED"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of a message's stream amount to; `version` is the last one's.

    `contents` holds the corrected contents, sealed, by the round that brought them. The content of `replaced_round`
    replaces all older ones; 0 if none does.
    """

    id: str
    version: int = 0
    life: Life = Life.UNKNOWN
    owner: str = ""
    page_id: str = ""
    title: str = ""
    sealed_content: bytes = b""
    contents: Mapping[int, bytes] = {}
    replaced_round: int = 0
    has_variables: bool = True
    fills_every_string: bool = False
    retry_policy: RetryPolicy = RetryPolicy()
    on_unconfirmed: OnUnconfirmed = OnUnconfirmed.HOLD
    stage: int = 0
    worker: str = ""
    batches: int = 0
    round: int = 0
    retry_count: int = 0
    paused: bool = False
    stop: Stop | None = None  # why the service itself paused it
    going_on_since: int = 0  # the version of a person's last decision to go on: a resume, or a resend by hand
    cancelled: bool = False
    completed: bool = False
    open_round: OpenRound | None = None
    automatic_from_batch: int = 0  # automatic rounds take recipients of this batch and later ones; 0: all
    suspended: bool = False  # no automatic round starts: see domain.automatic_rounds
    archived_in: str = ""  # the file that has its events


def evolve(message: Message, event: Event) -> Message:
    """The message after one more event."""
    changed = msgspec.structs.replace(message, version=message.version + 1)
    match event:
        case MessageStaged():
            return msgspec.structs.replace(
                changed,
                life=Life.STAGED,
                owner=event.owner,
                page_id=event.page_id,
                worker=event.worker,
                stage=changed.version,
            )
        case MessageAbandoned():
            return msgspec.structs.replace(changed, life=Life.ABANDONED)
        case MessageSubmitted():
            return _submitted(changed, event)
        case RetryRequested():
            return msgspec.structs.replace(
                changed,
                batches=event.first_batch + event.batches - 1,
                round=max(message.round, event.round),
                retry_count=event.retry_count,
                completed=False,
                open_round=_open_after(message.open_round, event),
                contents=_contents_after(message.contents, event),
                replaced_round=event.round if event.replaces_content else message.replaced_round,
                automatic_from_batch=event.automatic_from_batch,
                suspended=message.suspended and not _is_new_resend(message, event),
                going_on_since=changed.version if event.trigger is RetryTrigger.MANUAL else message.going_on_since,
            )
        case MessagePaused() | MessageStopped() | MessageResumed() | MessageCancelled() | RetryStopped():
            return _interrupted(changed, event)
        case MessageCompleted():
            return msgspec.structs.replace(changed, completed=True, paused=False, stop=None)
    raise TypeError(f"not an event of a message: {type(event).__name__}")


def _interrupted(
    message: Message, event: MessagePaused | MessageStopped | MessageResumed | MessageCancelled | RetryStopped
) -> Message:
    match event:
        case MessageStopped():
            return msgspec.structs.replace(message, paused=True, stop=event.stop, completed=False)
        case MessagePaused():
            return msgspec.structs.replace(message, paused=True, completed=False)
        case MessageResumed():
            from_batch = 0 if message.suspended else message.automatic_from_batch
            return msgspec.structs.replace(
                message,
                paused=False,
                stop=None,
                suspended=False,
                automatic_from_batch=from_batch,
                going_on_since=message.version,
            )
        case MessageCancelled():
            return msgspec.structs.replace(message, cancelled=True, stop=None, suspended=False, open_round=None)
        case RetryStopped():
            suspended = message.suspended or event.suspends_automatic_rounds
            return msgspec.structs.replace(message, suspended=suspended, open_round=None)


def _submitted(message: Message, event: MessageSubmitted) -> Message:
    return msgspec.structs.replace(
        message,
        life=Life.SUBMITTED,
        owner=event.owner,
        page_id=event.page_id,
        title=event.title,
        sealed_content=event.sealed_content,
        has_variables=event.has_variables,
        fills_every_string=event.fills_every_string,
        retry_policy=event.retry_policy,
        on_unconfirmed=event.on_unconfirmed,
        stage=event.stage,
        batches=event.batches,
    )


def _archived(message: Message, event: MessageArchived) -> Message:
    """What came before it may be gone from the stream."""
    return msgspec.structs.replace(
        message,
        version=event.version,
        life=Life.SUBMITTED,
        owner=event.owner,
        completed=True,
        archived_in=event.file,
    )


def check_not_archived(message: Message) -> None:
    """Raises MessageIsArchived: nothing is decided without a message's events."""
    if message.archived_in:
        raise MessageIsArchived(message.id, message.archived_in)


def _contents_after(before: Mapping[int, bytes], slice_: RetryRequested) -> Mapping[int, bytes]:
    return {**before, slice_.round: slice_.sealed_content} if slice_.sealed_content else before


def _is_new_resend(message: Message, slice_: RetryRequested) -> bool:
    """A resend by hand began; later slices of one that began before do not count."""
    return slice_.trigger is RetryTrigger.MANUAL and slice_.round > message.round


def _open_after(before: OpenRound | None, slice_: RetryRequested) -> OpenRound | None:
    """Opened by a canary, or by a slice that says that the round goes on, and ended by its last slice.

    Slices of other rounds say nothing of it.
    """
    if slice_.trial is not None or slice_.goes_on:
        return OpenRound(round=slice_.round, trial=slice_.trial, first_batch=slice_.first_batch, batches=slice_.batches)
    if before is None or before.round != slice_.round:
        return before
    return msgspec.structs.replace(before, has_passed=True) if slice_.last_recipient else None


def fold(message_id: str, events: Iterable[Event]) -> Message:
    """The message that a whole stream amounts to."""
    message = Message(id=message_id)
    for event in events:
        message = _archived(message, event) if isinstance(event, MessageArchived) else evolve(message, event)
    return message


def stage(message: Message, *, owner: str, page_id: str, worker: str, now: datetime) -> MessageStaged:
    """Begins to take recipients; raises StreamInProgress while another stream of the same request is open."""
    if message.life not in (Life.UNKNOWN, Life.ABANDONED):
        raise StreamInProgress("a stream with this request_id is open or done", message_id=message.id)
    return MessageStaged(message_id=message.id, owner=owner, page_id=page_id, worker=worker, time=now)


def abandon(message: Message, *, cause: str, now: datetime) -> MessageAbandoned | None:
    """Gives up what was staged; None when nothing is (a submit was faster, or it was given up before)."""
    if message.life is not Life.STAGED:
        return None
    return MessageAbandoned(message_id=message.id, cause=cause, time=now)


def cancel(
    message: Message, *, somebody_waits: bool, requested_by: str, request: RequestStamp | None, now: datetime
) -> MessageCancelled | None:
    """Stops it for good; None when that was done before; raises MessageIsDone when nothing is left to stop.

    `somebody_waits`: the timer would find somebody to retry.
    """
    if message.cancelled:
        return None
    _check_not_done(message, somebody_waits=somebody_waits)
    return MessageCancelled(message_id=message.id, requested_by=requested_by, request=request, time=now)


def pause(
    message: Message, *, somebody_waits: bool, requested_by: str, request: RequestStamp | None, now: datetime
) -> MessagePaused | None:
    """Holds it back; None when that was done before; raises MessageIsCancelled, and MessageIsDone as `cancel` does."""
    _check_not_cancelled(message)
    if message.paused:
        return None
    _check_not_done(message, somebody_waits=somebody_waits)
    return MessagePaused(message_id=message.id, requested_by=requested_by, request=request, time=now)


def stop(
    message: Message, reason: Stop, *, decided_at: int, pending_deliveries: int, now: datetime
) -> MessageStopped | None:
    """Pause a message on behalf of the service; None when nothing is pending, or it is held back or over already.

    Also None when a person decided to go on after the version `decided_at`: the reason is older than that decision.
    """
    is_held_back = message.paused or message.cancelled or message.completed
    if message.life is not Life.SUBMITTED or is_held_back or not pending_deliveries:
        return None
    if message.going_on_since > decided_at:
        return None
    return MessageStopped(message_id=message.id, stop=reason, time=now)


def resume(
    message: Message, *, requested_by: str, request: RequestStamp | None, now: datetime
) -> MessageResumed | None:
    """End its pause and the suspension of its automatic rounds; None when there is neither.

    Raises MessageIsCancelled.
    """
    _check_not_cancelled(message)
    if not (message.paused or message.suspended):
        return None
    return MessageResumed(message_id=message.id, requested_by=requested_by, request=request, time=now)


def awaits_automatic_round(message: Message) -> bool:
    """The policy still allows an automatic round (whether anybody is left for it, the read model knows)."""
    is_held_back = message.paused or message.suspended
    return not is_held_back and message.open_round is None and _has_rounds_left(message)


def _has_rounds_left(message: Message) -> bool:
    if message.cancelled or message.life is not Life.SUBMITTED:
        return False
    return message.retry_policy.has_rounds_left(message.retry_count)


def _check_not_done(message: Message, *, somebody_waits: bool) -> None:
    """A message whose next round is due later, or suspended, is done, but there is something left to stop."""
    starts_at_once = message.retry_policy.type is RetryType.AUTO and message.retry_policy.delay is None
    is_later = message.suspended or not starts_at_once
    is_waiting = somebody_waits and is_later and _has_rounds_left(message)
    if message.completed and not is_waiting:
        raise MessageIsDone(message.id)


def _check_not_cancelled(message: Message) -> None:
    if message.cancelled:
        raise MessageIsCancelled(message.id)


def check_resendable(message: Message, *, with_canary: bool = False) -> None:
    """Raises MessageIsCancelled: nothing is resent after a cancel. What is paused waits for the resume.

    Raises CanaryUnderWay for a second canary beside one that is not decided.
    """
    _check_not_cancelled(message)
    if with_canary and message.open_round is not None and message.open_round.waits:
        raise CanaryUnderWay(message.id)


def stop_after_canary(message: Message, *, failed: int, unconfirmed: int, now: datetime) -> RetryStopped | None:
    """Ends a round whose canary is over, when too many of it failed; None when the rest may follow."""
    opened = message.open_round
    if opened is None or opened.trial is None or opened.has_passed:
        return None
    if opened.trial.canary.allows(failed + unconfirmed):
        return None
    return RetryStopped(
        message_id=message.id,
        round=opened.round,
        recipients=opened.trial.canary.recipients,
        failed=failed,
        unconfirmed=unconfirmed,
        suspends_automatic_rounds=True,
        time=now,
    )


def replaces_content(message: Message, selection: RetrySelection) -> bool:
    """Return whether a corrected content also replaces the older contents of pending and later deliveries.

    While the message is held back it does, but a person who names recipients means these alone.
    """
    return message.paused and not selection.recipients_named


def resume_corrected(message: Message, *, requested_by: str, now: datetime) -> MessageResumed | None:
    """Let a message go on that the service stopped, once its content is replaced; None for any other."""
    if message.stop is None:
        return None
    return MessageResumed(message_id=message.id, requested_by=requested_by, time=now)


def content_in_force(message: Message, content_round: int) -> bytes:
    """Return the sealed content of a delivery that was planned with the content of a round; 0 is the original.

    Raise KeyError if that round brought no content: a wrong text must not be sent.
    """
    in_force = max(content_round, message.replaced_round)
    return message.contents[in_force] if in_force else message.sealed_content


def next_retry_count(message: Message, trigger: RetryTrigger) -> int:
    """Automatic rounds, once one more of this trigger is counted."""
    return message.retry_count + (trigger is not RetryTrigger.MANUAL)


def complete(
    message: Message, *, open_deliveries: int, somebody_waits: bool = False, now: datetime
) -> MessageCompleted | None:
    """Ends it when nothing is open; None when it is not to be ended: a paused one still has its rounds to come.

    `somebody_waits`: an automatic round would find somebody to retry.
    """
    if message.life is not Life.SUBMITTED or message.completed or open_deliveries or message.open_round is not None:
        return None
    if message.paused and somebody_waits and _has_rounds_left(message):
        return None
    return MessageCompleted(message_id=message.id, time=now)
