"""Builders of domain values with defaults, so that a test gives only the values that matter to it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from domain import batch as batches
from domain import batch_decisions
from domain.batch import Batch
from domain.batch_decisions import Events
from domain.batch_events import BatchCreated, BatchEvent, BatchRecipient, RecordedOutcome
from domain.commands import CancelMessage, PauseMessage, PutPage, Recipient, ResendMessage, ResumeMessage, SendMessage
from domain.content import Content
from domain.event import RequestStamp
from domain.fault import ErrorType, Fault, FaultScope, RetryRule
from domain.message_events import (
    MessageAbandoned,
    MessagePaused,
    MessageResumed,
    MessageStaged,
    MessageStopped,
    MessageSubmitted,
    RetryRequested,
)
from domain.outcome import Failed, Outcome, Sent, Unconfirmed
from domain.page_events import (
    Hold,
    PageHeld,
    PageRegistered,
    PageReleased,
    PageSettingsChanged,
    PageShared,
    PageTokenReplaced,
    PageTransferred,
)
from domain.retry import DEFAULT_SELECTION, OnUnconfirmed, RetryPolicy, RetryTrigger, RetryType
from domain.retry_delay import FixedInterval, RetryDelay
from domain.stop_policy import Stop, StopCause, StopPolicy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OWNER = "local"
PAGE = "1001"
MESSAGE = "m-1"
WORKER = "worker-1"
TOKEN = "page-token-EAAG-0123456789"
LEASE = timedelta(minutes=10)


def after(seconds: float) -> datetime:
    """Return NOW plus this number of seconds."""
    return NOW + timedelta(seconds=seconds)


def wall_clock() -> datetime:
    """Return the current time, for tests that run real services."""
    return datetime.now(UTC)


# Faults and outcomes


def fault(type_: ErrorType = ErrorType.NETWORK, retry: RetryRule = RetryRule.AUTOMATIC, **fields: Any) -> Fault:
    return Fault(**{"message": "no luck", "scope": FaultScope.RECIPIENT, **fields, "type": type_, "retry": retry})


PERMANENT = fault(ErrorType.INVALID_RECIPIENT, RetryRule.NEVER, code=100, subcode=2018001)
DEAD_TOKEN = fault(ErrorType.ACCESS_TOKEN, RetryRule.NEW_TOKEN, code=190, subcode=463, scope=FaultScope.PAGE)

SENT = Sent("mid.1")
FAILED = Failed(fault())
FAILED_FOR_GOOD = Failed(PERMANENT)
FAILED_FOR_TOKEN = Failed(DEAD_TOKEN)
UNCONFIRMED = Unconfirmed(fault())


def known(position: int, outcome: Outcome = SENT, time: datetime = NOW) -> RecordedOutcome:
    return RecordedOutcome(position=position, outcome=outcome, time=time)


# Batches


def batch_recipients(*ids: str, attempt: int = 1, origin: tuple[int, int] = (0, 0)) -> tuple[BatchRecipient, ...]:
    return tuple(
        BatchRecipient(
            id=id_, name=id_.title(), attempt_number=attempt, origin_batch=origin[0], origin_position=origin[1]
        )
        for id_ in ids
    )


def batch_created(*recipients: str | BatchRecipient, **fields: Any) -> BatchCreated:
    entries = [batch_recipients(one)[0] if isinstance(one, str) else one for one in recipients or ("ann", "bob")]
    defaults = {"message_id": MESSAGE, "batch_number": 1, "page_id": PAGE, "stage": 0, "round": 0, "time": NOW}
    return BatchCreated(**{**defaults, **fields, "recipients": tuple(entries)})


def new_batch(*recipients: str | BatchRecipient, **fields: Any) -> Batch:
    return batches.fold([batch_created(*recipients, **fields)])


def start(batch: Batch, worker: str = WORKER, generation: int = 1, *, now: datetime = NOW) -> Events:
    return batch_decisions.start(batch, worker=worker, generation=generation, lease_expire_time=now + LEASE, now=now)


def claimed_batch(*recipients: str | BatchRecipient, **fields: Any) -> Batch:
    batch = new_batch(*recipients, **fields)
    return batches.apply(batch, start(batch))


def dispatched_batch(*recipients: str | BatchRecipient, **fields: Any) -> Batch:
    """Return a claimed batch whose deliveries are all dispatched."""
    batch = claimed_batch(*recipients, **fields)
    return batches.apply(batch, batch_decisions.dispatch(batch, batch.pending, token_generation=1, now=NOW))


def delivered(
    batch: Batch, outcomes: Mapping[str, Outcome], *, token_generation: int = 1, now: datetime = NOW
) -> Events:
    """Return the events that send a pending batch with these outcomes by recipient id; other recipients are SENT."""
    started: list[BatchEvent] = list(start(batch, now=now))
    claimed = batches.apply(batch, started)
    dispatched = batch_decisions.dispatch(claimed, claimed.pending, token_generation=token_generation, now=now)
    all_outcomes = [known(p, outcomes.get(batch.recipients[p].id, SENT), now) for p in claimed.pending]
    recorded = batch_decisions.record(batches.apply(claimed, dispatched), all_outcomes, now=now)
    return (*started, *dispatched, *recorded)


# Messages


def message_submitted(total: int = 2, **fields: Any) -> MessageSubmitted:
    defaults = {
        "message_id": MESSAGE,
        "owner": OWNER,
        "page_id": PAGE,
        "title": "Spring sale",
        "sealed_content": b"sealed",
        "retry_policy": RetryPolicy(),
        "on_unconfirmed": OnUnconfirmed.HOLD,
        "stage": 0,
        "batches": 1,
        "duplicates_dropped": 0,
        "time": NOW,
    }
    return MessageSubmitted(**{**defaults, **fields, "total": total})


def message_staged(**fields: Any) -> MessageStaged:
    return MessageStaged(
        **{"message_id": MESSAGE, "owner": OWNER, "page_id": PAGE, "worker": WORKER, "time": NOW, **fields}
    )


def message_abandoned(**fields: Any) -> MessageAbandoned:
    return MessageAbandoned(**{"message_id": MESSAGE, "cause": "the stream broke off", "time": NOW, **fields})


def retry_requested(trigger: RetryTrigger = RetryTrigger.MANUAL, **fields: Any) -> RetryRequested:
    defaults = {
        "message_id": MESSAGE,
        "round": 1,
        "requested_by": OWNER,
        "selection": DEFAULT_SELECTION,
        "first_batch": 2,
        "batches": 1,
        "recipients": 1,
        "retry_count": 0,
        "time": NOW,
    }
    return RetryRequested(**{**defaults, **fields, "trigger": trigger})


def message_stopped(**fields: Any) -> MessageStopped:
    stop = Stop(cause=StopCause.CONTENT, fault=None, failed=25, attempts=30)
    return MessageStopped(**{"message_id": MESSAGE, "stop": stop, "time": NOW, **fields})


def message_paused(**fields: Any) -> MessagePaused:
    return MessagePaused(**{"message_id": MESSAGE, "requested_by": OWNER, "time": NOW, **fields})


def message_resumed(**fields: Any) -> MessageResumed:
    return MessageResumed(**{"message_id": MESSAGE, "requested_by": OWNER, "time": NOW, **fields})


def auto(max_retry_attempts: int = 3, delay: RetryDelay | None = None) -> RetryPolicy:
    return RetryPolicy(type=RetryType.AUTO, max_retry_attempts=max_retry_attempts, delay=delay)


def cron(max_retry_attempts: int = 3, delay: RetryDelay | None = None) -> RetryPolicy:
    return RetryPolicy(type=RetryType.CRON, max_retry_attempts=max_retry_attempts, delay=delay)


def each(seconds: float) -> RetryDelay:
    """Return the same delay before each automatic round."""
    return FixedInterval(interval=timedelta(seconds=seconds))


def request_stamp(request_id: str = "r-1", **fields: Any) -> RequestStamp:
    return RequestStamp(
        **{"owner": OWNER, "method": "Send", "payload_hash": "0" * 64, **fields, "request_id": request_id}
    )


# Pages

_SETTINGS = {"page_id": PAGE, "name": "A page", "messages_per_second": 10.0, "send_mode": "SINGLE", "time": NOW}


def page_registered(page_id: str = PAGE, **fields: Any) -> PageRegistered:
    defaults = {**_SETTINGS, "token_verified": True, "requested_by": OWNER}
    return msgspec.convert({**defaults, **fields, "page_id": page_id}, PageRegistered)


def page_settings_changed(page_id: str = PAGE, **fields: Any) -> PageSettingsChanged:
    return msgspec.convert({**_SETTINGS, "requested_by": OWNER, **fields, "page_id": page_id}, PageSettingsChanged)


def page_token_replaced(token_generation: int = 2, page_id: str = PAGE, *, time: datetime = NOW) -> PageTokenReplaced:
    return PageTokenReplaced(
        page_id=page_id, token_generation=token_generation, token_verified=True, requested_by=OWNER, time=time
    )


def page_shared(*callers: str, page_id: str = PAGE) -> PageShared:
    return PageShared(page_id=page_id, shared_with=callers, requested_by=OWNER, time=NOW)


def page_transferred(owner: str, *shared_with: str, page_id: str = PAGE) -> PageTransferred:
    return PageTransferred(page_id=page_id, owner=owner, shared_with=shared_with, requested_by="root", time=NOW)


def page_held(page_id: str = PAGE) -> PageHeld:
    return PageHeld(page_id=page_id, hold=Hold(reason="expired", fault=DEAD_TOKEN), time=NOW)


def page_released(token_generation: int = 3, page_id: str = PAGE) -> PageReleased:
    return PageReleased(
        page_id=page_id, released_by=OWNER, token_generation=token_generation, requested_by=OWNER, time=NOW
    )


# Commands


def people(*ids: str) -> Sequence[Recipient]:
    return [Recipient(id=id_, name=id_.title()) for id_ in ids]


def crowd(size: int, prefix: str = "u") -> Sequence[Recipient]:
    """Return this number of recipients with ids in alphabetical order."""
    return people(*(f"{prefix}{number:05}" for number in range(size)))


NEVER_STOPPED = StopPolicy(min_attempts=2**31 - 1)


def send_message(text: str = "Hello {{name}}", **fields: Any) -> SendMessage:
    return SendMessage(**{"owner": OWNER, "page_id": PAGE, "content": Content(text=text), **fields})


def resend_message(message_id: str = MESSAGE, **fields: Any) -> ResendMessage:
    return ResendMessage(**{"owner": OWNER, **fields, "message_id": message_id})


def pause_message(message_id: str = MESSAGE, **fields: Any) -> PauseMessage:
    return PauseMessage(**{"owner": OWNER, **fields, "message_id": message_id})


def resume_message(message_id: str = MESSAGE, **fields: Any) -> ResumeMessage:
    return ResumeMessage(**{"owner": OWNER, **fields, "message_id": message_id})


def cancel_message(message_id: str = MESSAGE, **fields: Any) -> CancelMessage:
    return CancelMessage(**{"owner": OWNER, **fields, "message_id": message_id})


def put_page(page_id: str = PAGE, **fields: Any) -> PutPage:
    return PutPage(**{"owner": OWNER, "access_token": TOKEN, **fields, "page_id": page_id})
