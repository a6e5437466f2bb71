"""Texts of events for ListEvents: a summary in one line, and the fields as JSON."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from domain.batch_events import (
    BatchCancelled,
    BatchCompleted,
    BatchCreated,
    BatchReleased,
    BatchStarted,
    DeliveriesDispatched,
    DeliveriesReturned,
    LateOutcomesRecorded,
    OutcomesRecorded,
    RecordedOutcome,
)
from domain.delivery import status_of
from domain.event import Event
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
from domain.outcome import Sent
from domain.page_events import (
    PageEvent,
    PageHeld,
    PageReleased,
    PageSettingsChanged,
    PageShared,
    PageTokenReplaced,
    PageTransferred,
)
from domain.receipts import ReceiptsRecorded

# Fields of an event that ListEvents returns apart from its details.
_LEFT_OUT = frozenset(("time", "message_id", "batch_number"))
# A page may be changed by a caller who did not send the message, so that caller's request is not shown.
_LEFT_OUT_OF_PAGES = _LEFT_OUT | {"request"}
_NOT_SHOWN = frozenset(("name", "sealed_by_person", "payload_hash", "answer"))  # at any depth
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def summary(event: Event) -> str:
    """Return an event's summary in one line; for an event without a text of its own that is its name."""
    text_of = _SUMMARIES.get(type(event))
    return text_of(event) if text_of else _CAPITAL.sub(" ", type(event).__name__).capitalize()


def _submitted(event: MessageSubmitted) -> str:
    when = "" if event.schedule_time is None else f", to be sent at {event.schedule_time.isoformat()}"
    return f"Accepted from {event.owner}: {_recipients(event.total)} in {_batches(event.batches)}{when}"


def _retried(event: RetryRequested) -> str:
    words = (
        f"Round {event.round} ({event.trigger.value}) by {event.requested_by}: {_recipients(event.recipients)}"
        f" in {_batches(event.batches)} from number {event.first_batch}"
    )
    if event.sealed_content:
        words += ", with a corrected content" + (" for all that has not left" if event.replaces_content else "")
    if event.trial is not None:
        words = f"{words}, a canary: {event.trial.rest:,} more follow if it goes well"
    elif event.goes_on:
        words = f"{words}, and more to come"
    if event.automatic_from_batch:
        words = f"{words}; automatic rounds take recipients of batch {event.automatic_from_batch} and later ones only"
    return words


def _stopped(event: RetryStopped) -> str:
    return (
        f"Round {event.round} stopped after its canary of {event.recipients:,}: {event.failed:,} failed,"
        f" {event.unconfirmed:,} unconfirmed"
    )


def _held(event: PageHeld) -> str:
    by = f" by {event.hold.held_by}" if event.hold.held_by else ""
    return f"The page was put on hold{by}{': ' if event.hold.reason else ''}{event.hold.reason}"


def _released(event: PageReleased) -> str:
    if not event.released_by:
        return "The page goes on with its new token"
    pause = f", and its pause ended: {event.ended_pause}" if event.ended_pause else ""
    return f"The page was released by {event.released_by}{pause}"


def _replaced(event: PageTokenReplaced) -> str:
    doubt = "" if event.token_verified else "; the platform could not be asked about the new one"
    return f"The page's token was replaced{_by(event)}{doubt}"


def _settings_changed(event: PageSettingsChanged) -> str:
    shown = {"messages_per_second": f" to {event.messages_per_second:g}", "send_mode": f" to {event.send_mode}"}
    parts = [f"{name.replace('_', ' ')}{shown.get(name, '')}" for name in event.changed]  # the name itself is not shown
    return f"The page's settings were changed{_by(event)}: {', '.join(parts)}"


def _shared(event: PageShared) -> str:
    callers = ", ".join(event.shared_with) or "no other caller"
    return f"Sharing of the page was changed{_by(event)}: it is shared with {callers}"


def _by(event: PageEvent) -> str:
    """Name the caller who asked; earlier releases did not record the caller of every event."""
    return f" by {event.requested_by}" if event.requested_by else ""


def _message_stopped(event: MessageStopped) -> str:
    stop = event.stop
    cause = stop.cause.value.lower().replace("_", " ")
    return f"Stopped by the service ({cause}): {stop.failed:,} of {stop.attempts:,} attempts failed"


def _received(event: ReceiptsRecorded) -> str:
    return f"Receipts: {_counted(receipt.kind.value.lower() for receipt in event.receipts)}"


_SUMMARIES: Mapping[type[Event], Callable[[Any], str]] = {
    MessageStaged: lambda event: f"A stream of recipients was opened on server {event.worker}",
    MessageAbandoned: lambda event: f"The stream was abandoned: {event.cause}",
    MessageSubmitted: _submitted,
    RetryRequested: _retried,
    RetryStopped: _stopped,
    MessagePaused: lambda event: f"Paused by {event.requested_by}",
    MessageStopped: _message_stopped,
    MessageResumed: lambda event: f"Resumed by {event.requested_by}",
    MessageCancelled: lambda event: f"Cancelled by {event.requested_by}",
    MessageCompleted: lambda _: "Done: no delivery is open",
    BatchCreated: lambda event: f"Planned: {_recipients(len(event.recipients))} in round {event.round}",
    BatchStarted: lambda event: f"Claimed by {event.worker}",
    DeliveriesDispatched: lambda event: f"Dispatched: {len(event.positions):,}",
    OutcomesRecorded: lambda event: _outcomes(event.outcomes),
    LateOutcomesRecorded: lambda event: f"Recorded late: {_outcomes(event.outcomes)}",
    DeliveriesReturned: lambda event: f"Returned unsent: {len(event.positions):,}, now {event.to.value.lower()}",
    ReceiptsRecorded: _received,
    BatchReleased: lambda _: "Released: another worker may claim it",
    BatchCancelled: lambda _: "Its pending deliveries were cancelled",
    BatchCompleted: lambda _: "Done: none of its deliveries is open",
    PageHeld: _held,
    PageReleased: _released,
    PageTokenReplaced: _replaced,
    PageSettingsChanged: _settings_changed,
    PageShared: _shared,
    PageTransferred: lambda event: f"The page was given to {event.owner}{_by(event)}",
}


def _recipients(count: int) -> str:
    return f"{count:,} {'recipient' if count == 1 else 'recipients'}"


def _batches(count: int) -> str:
    return f"{count:,} {'batch' if count == 1 else 'batches'}"


def _outcomes(outcomes: Sequence[RecordedOutcome]) -> str:
    """Count the outcomes by status, and the errors by type."""
    words = _counted(status_of(known.outcome).value.lower() for known in outcomes)
    types = [known.outcome.fault.type.value for known in outcomes if not isinstance(known.outcome, Sent)]
    return f"{words} ({_counted(types)})" if types else words


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in Counter(words).most_common())


def details(event: Event) -> str:
    """Return an event's fields as a JSON object, without sealed fields and without names."""
    left_out = _LEFT_OUT_OF_PAGES if isinstance(event, PageEvent) else _LEFT_OUT
    shown = {field: value for field, value in _fields(event).items() if field not in left_out}
    return msgspec.json.encode(shown).decode()


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of an event or of a part of it, with the type of a tagged part."""
    tag = value.__struct_config__.tag
    fields = {} if tag is None else {"type": tag}
    for field in value.__struct_fields__:
        part = getattr(value, field)
        if field not in _NOT_SHOWN and not isinstance(part, bytes):  # bytes are always sealed
            fields[field] = _shown(part)
    return fields


def _shown(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): _shown(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(part) for part in value]
    return value
