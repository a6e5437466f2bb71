"""The Message aggregate: its id, its state, folded from its events, and the decisions about it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from domain.canary import OpenRound
from domain.errors import CanaryUnderWay, MessageIsArchived, MessageIsCancelled, MessageIsDone, StreamInProgress
from domain.event import Event, RequestStamp
from domain.message_events import (
    MessageAbandoned,
    MessageArchived,
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

_VERSION_8 = "8"  # RFC 9562: a UUID whose content the application defines
_VERSION_INDEX = 14  # of the version digit in a UUID's text


class SubmissionState(StrEnum):
    """Whether a message is submitted: STAGED while a stream still adds recipients, ABANDONED if the stream broke."""

    UNKNOWN = "UNKNOWN"
    STAGED = "STAGED"
    ABANDONED = "ABANDONED"
    SUBMITTED = "SUBMITTED"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a message after all events of its stream; `version` is the version of the last event.

    `corrected_contents` maps a round to the corrected content, sealed, that its Resend supplied. The content of
    `replaced_round` replaces all older contents; 0 means that none does.
    """

    id: str
    version: int = 0
    submission_state: SubmissionState = SubmissionState.UNKNOWN
    owner: str = ""
    page_id: str = ""
    title: str = ""
    sealed_content: bytes = b""
    corrected_contents: Mapping[int, bytes] = {}
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
    stop: Stop | None = None  # why the service paused it
    continued_at_version: int = 0  # the version of the last resume or manual resend
    cancelled: bool = False
    completed: bool = False
    open_round: OpenRound | None = None
    automatic_from_batch: int = 0  # automatic rounds take recipients of this batch and later batches; 0 for all
    suspended: bool = False  # no automatic round starts: see domain.automatic_rounds
    archived_in: str = ""  # the archive file that holds its events


def evolve(message: Message, event: Event) -> Message:
    """Return the message after one more event."""
    changed = msgspec.structs.replace(message, version=message.version + 1)
    match event:
        case MessageStaged():
            return msgspec.structs.replace(
                changed,
                submission_state=SubmissionState.STAGED,
                owner=event.owner,
                page_id=event.page_id,
                worker=event.worker,
                stage=changed.version,
            )
        case MessageAbandoned():
            return msgspec.structs.replace(changed, submission_state=SubmissionState.ABANDONED)
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
                corrected_contents=_contents_after(message.corrected_contents, event),
                replaced_round=event.round if event.replaces_content else message.replaced_round,
                automatic_from_batch=event.automatic_from_batch,
                suspended=message.suspended and not _is_new_resend(message, event),
                continued_at_version=changed.version
                if event.trigger is RetryTrigger.MANUAL
                else message.continued_at_version,
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
                continued_at_version=message.version,
            )
        case MessageCancelled():
            return msgspec.structs.replace(message, cancelled=True, stop=None, suspended=False, open_round=None)
        case RetryStopped():
            suspended = message.suspended or event.suspends_automatic_rounds
            return msgspec.structs.replace(message, suspended=suspended, open_round=None)


def _submitted(message: Message, event: MessageSubmitted) -> Message:
    return msgspec.structs.replace(
        message,
        submission_state=SubmissionState.SUBMITTED,
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
    """Return the state from the event alone: earlier events may have been removed from the stream."""
    return msgspec.structs.replace(
        message,
        version=event.version,
        submission_state=SubmissionState.SUBMITTED,
        owner=event.owner,
        completed=True,
        archived_in=event.file,
    )


def check_not_archived(message: Message) -> None:
    """Raise MessageIsArchived for an archived message: no decision is possible without its events."""
    if message.archived_in:
        raise MessageIsArchived(message.id, message.archived_in)


def _contents_after(before: Mapping[int, bytes], slice_: RetryRequested) -> Mapping[int, bytes]:
    return {**before, slice_.round: slice_.sealed_content} if slice_.sealed_content else before


def _is_new_resend(message: Message, slice_: RetryRequested) -> bool:
    """Return whether the slice is the first one of a manual resend."""
    return slice_.trigger is RetryTrigger.MANUAL and slice_.round > message.round


def _open_after(before: OpenRound | None, slice_: RetryRequested) -> OpenRound | None:
    """Return the round that has more slices to come after this one, if any.

    A canary, or a slice with `goes_on`, opens a round. The round's last slice ends it. Slices of other rounds change
    nothing.
    """
    if slice_.trial is not None or slice_.goes_on:
        return OpenRound(round=slice_.round, trial=slice_.trial, first_batch=slice_.first_batch, batches=slice_.batches)
    if before is None or before.round != slice_.round:
        return before
    return msgspec.structs.replace(before, has_passed=True) if slice_.last_recipient else None


def fold(message_id: str, events: Iterable[Event]) -> Message:
    """Return the message after all events of its stream."""
    message = Message(id=message_id)
    for event in events:
        message = _archived(message, event) if isinstance(event, MessageArchived) else evolve(message, event)
    return message


def stage(message: Message, *, owner: str, page_id: str, worker: str, now: datetime) -> MessageStaged:
    """Start to take recipients from a stream.

    Raises StreamInProgress while another stream of the same request is open.
    """
    if message.submission_state not in (SubmissionState.UNKNOWN, SubmissionState.ABANDONED):
        raise StreamInProgress("a stream with this request_id is open or done", message_id=message.id)
    return MessageStaged(message_id=message.id, owner=owner, page_id=page_id, worker=worker, time=now)


def abandon(message: Message, *, cause: str, now: datetime) -> MessageAbandoned | None:
    """Abandon the staged recipients; None if nothing is staged (submitted or abandoned already)."""
    if message.submission_state is not SubmissionState.STAGED:
        return None
    return MessageAbandoned(message_id=message.id, cause=cause, time=now)


def cancel(
    message: Message, *, has_retryable_recipients: bool, requested_by: str, request: RequestStamp | None, now: datetime
) -> MessageCancelled | None:
    """Cancel the message; None if it is cancelled already. Raises MessageIsDone if nothing is left to cancel.

    `has_retryable_recipients`: the retry timer would find a retryable recipient.
    """
    if message.cancelled:
        return None
    _check_not_done(message, has_retryable_recipients=has_retryable_recipients)
    return MessageCancelled(message_id=message.id, requested_by=requested_by, request=request, time=now)


def pause(
    message: Message, *, has_retryable_recipients: bool, requested_by: str, request: RequestStamp | None, now: datetime
) -> MessagePaused | None:
    """Pause the message; None if it is paused already.

    Raises MessageIsCancelled, and MessageIsDone as `cancel` does.
    """
    _check_not_cancelled(message)
    if message.paused:
        return None
    _check_not_done(message, has_retryable_recipients=has_retryable_recipients)
    return MessagePaused(message_id=message.id, requested_by=requested_by, request=request, time=now)


def stop(
    message: Message, reason: Stop, *, decided_at: int, pending_deliveries: int, now: datetime
) -> MessageStopped | None:
    """Pause a message on behalf of the service; None if nothing is pending, or it is paused, cancelled or completed.

    Also None if a person resumed or resent the message after version `decided_at`: that decision is newer than the
    reason.
    """
    is_not_sending = message.paused or message.cancelled or message.completed
    if message.submission_state is not SubmissionState.SUBMITTED or is_not_sending or not pending_deliveries:
        return None
    if message.continued_at_version > decided_at:
        return None
    return MessageStopped(message_id=message.id, stop=reason, time=now)


def resume(
    message: Message, *, requested_by: str, request: RequestStamp | None, now: datetime
) -> MessageResumed | None:
    """End the pause and the suspension of automatic rounds; None if there is neither. Raises MessageIsCancelled."""
    _check_not_cancelled(message)
    if not (message.paused or message.suspended):
        return None
    return MessageResumed(message_id=message.id, requested_by=requested_by, request=request, time=now)


def awaits_automatic_round(message: Message) -> bool:
    """Return whether the policy allows another automatic round; the read model knows if a recipient is retryable."""
    is_blocked = message.paused or message.suspended
    return not is_blocked and message.open_round is None and _has_rounds_left(message)


def _has_rounds_left(message: Message) -> bool:
    if message.cancelled or message.submission_state is not SubmissionState.SUBMITTED:
        return False
    return message.retry_policy.has_rounds_left(message.retry_count)


def _check_not_done(message: Message, *, has_retryable_recipients: bool) -> None:
    """Raise MessageIsDone, unless a completed message still has an automatic round to come, due later or suspended."""
    starts_at_once = message.retry_policy.type is RetryType.AUTO and message.retry_policy.delay is None
    is_later = message.suspended or not starts_at_once
    has_round_to_come = has_retryable_recipients and is_later and _has_rounds_left(message)
    if message.completed and not has_round_to_come:
        raise MessageIsDone(message.id)


def _check_not_cancelled(message: Message) -> None:
    if message.cancelled:
        raise MessageIsCancelled(message.id)


def check_resendable(message: Message, *, with_canary: bool = False) -> None:
    """Check that the message may be resent; a paused message may: its deliveries wait for the resume.

    Raises MessageIsCancelled, and CanaryUnderWay for a second canary while the first is undecided.
    """
    _check_not_cancelled(message)
    if with_canary and message.open_round is not None and message.open_round.awaits_canary:
        raise CanaryUnderWay(message.id)


def stop_after_canary(message: Message, *, failed: int, unconfirmed: int, now: datetime) -> RetryStopped | None:
    """End a round whose canary has finished with too many failures; None if the rest may be resent to."""
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

    It does while the message is paused, unless the resend names recipients: then it is for these recipients only.
    """
    return message.paused and not selection.recipients_named


def resume_corrected(message: Message, *, requested_by: str, now: datetime) -> MessageResumed | None:
    """Resume a message that the service stopped, after its content was replaced; None for any other message."""
    if message.stop is None:
        return None
    return MessageResumed(message_id=message.id, requested_by=requested_by, time=now)


def content_in_force(message: Message, content_round: int) -> bytes:
    """Return the sealed content for a delivery that was planned with the content of a round; 0 is the original.

    Raises KeyError if that round has no content of its own: a wrong text must not be sent.
    """
    in_force = max(content_round, message.replaced_round)
    return message.corrected_contents[in_force] if in_force else message.sealed_content


def next_retry_count(message: Message, trigger: RetryTrigger) -> int:
    """Return the number of automatic rounds after one more round with this trigger."""
    return message.retry_count + (trigger is not RetryTrigger.MANUAL)


def complete(
    message: Message, *, open_deliveries: int, has_retryable_recipients: bool = False, now: datetime
) -> MessageCompleted | None:
    """Complete the message if nothing is open; None if it must not complete yet, as when it is paused with a round due.

    `has_retryable_recipients`: an automatic round would find a retryable recipient.
    """
    if (
        message.submission_state is not SubmissionState.SUBMITTED
        or message.completed
        or open_deliveries
        or message.open_round is not None
    ):
        return None
    if message.paused and has_retryable_recipients and _has_rounds_left(message):
        return None
    return MessageCompleted(message_id=message.id, time=now)


def keyed_message_id(digest: bytes) -> str:
    """Return a message id made from 16 secret or random bytes: a UUID of version 8."""
    number = int.from_bytes(digest[:16], "big")
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return str(UUID(int=number | (0x8 << 76) | (0x2 << 62)))


def is_keyed(message_id: str) -> bool:
    """Return whether the id was made with the server's secret; earlier releases made UUIDs of versions 4 and 5."""
    return len(message_id) == 36 and message_id[_VERSION_INDEX] == _VERSION_8
