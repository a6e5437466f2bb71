"""How events are stored: an explicit name and version, and typed JSON (0.1-0.4 microseconds an event with msgspec)."""

from typing import Any, Generic, TypeVar

import msgspec
from eventsourcing.persistence import StoredEvent

from domain import (
    batch_events,
    message_events,
    page_events,
    receipts,
    retention_events,
)
from domain.event import Event

E = TypeVar("E", bound=Event)


class Envelope(msgspec.Struct, Generic[E], frozen=True):
    """An event as it is stored; the append_id tells after a lost connection whose append it was (protocol rule 17)."""

    append_id: str
    event: E


class _AppendId(msgspec.Struct, frozen=True):
    append_id: str


# The name and version under which each event is stored. A changed event gets a new version, and the old one is decoded
# to the new type here, in this one place; a name never changes.
TYPES: dict[str, type[Event]] = {
    "MessageStaged.v1": message_events.MessageStaged,
    "MessageAbandoned.v1": message_events.MessageAbandoned,
    "MessageSubmitted.v1": message_events.MessageSubmitted,
    "RetryRequested.v1": message_events.RetryRequested,
    "RetryStopped.v1": message_events.RetryStopped,
    "MessagePaused.v1": message_events.MessagePaused,
    "MessageStopped.v1": message_events.MessageStopped,
    "MessageResumed.v1": message_events.MessageResumed,
    "MessageCancelled.v1": message_events.MessageCancelled,
    "MessageCompleted.v1": message_events.MessageCompleted,
    "BatchCreated.v1": batch_events.BatchCreated,
    "BatchStarted.v1": batch_events.BatchStarted,
    "DeliveriesDispatched.v1": batch_events.DeliveriesDispatched,
    "OutcomesRecorded.v1": batch_events.OutcomesRecorded,
    "LateOutcomesRecorded.v1": batch_events.LateOutcomesRecorded,
    "DeliveriesReturned.v1": batch_events.DeliveriesReturned,
    "BatchReleased.v1": batch_events.BatchReleased,
    "BatchCancelled.v1": batch_events.BatchCancelled,
    "BatchCompleted.v1": batch_events.BatchCompleted,
    "ReceiptsRecorded.v1": receipts.ReceiptsRecorded,
    "PageRegistered.v1": page_events.PageRegistered,
    "PageSettingsChanged.v1": page_events.PageSettingsChanged,
    "PageTokenReplaced.v1": page_events.PageTokenReplaced,
    "PageHeld.v1": page_events.PageHeld,
    "PageReleased.v1": page_events.PageReleased,
    "PageShared.v1": page_events.PageShared,
    "PageTransferred.v1": page_events.PageTransferred,
    "PersonErased.v1": retention_events.PersonErased,
    "CleanupStarted.v1": retention_events.CleanupStarted,
    "CleanupCounted.v1": retention_events.CleanupCounted,
    "DeliveriesCleaned.v1": retention_events.DeliveriesCleaned,
    "CleanupCompleted.v1": retention_events.CleanupCompleted,
    "MessageArchived.v1": message_events.MessageArchived,
}
_NAMES = {event_type: name for name, event_type in TYPES.items()}
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(Envelope[event_type])  # type: ignore[valid-type]  # a type made at run time
    for name, event_type in TYPES.items()
}
_ENCODER = msgspec.json.Encoder()


class UnknownEventError(Exception):
    """The log holds an event that this version does not know: a newer version wrote it."""


def encode(stream: str, version: int, append_id: str, event: Event) -> StoredEvent:
    """An event as the log stores it."""
    state = _ENCODER.encode(Envelope(append_id, event))
    return StoredEvent(originator_id=stream, originator_version=version, topic=name_of(event), state=state)


def name_of(event: Event) -> str:
    """The name and version under which an event is stored."""
    return _NAMES[type(event)]


def append_id_of(stored: StoredEvent) -> str:
    """The id of the append that brought an event."""
    return msgspec.json.decode(stored.state, type=_AppendId).append_id


def decode(stored: StoredEvent) -> Event:
    """An event as the domain knows it; raises UnknownEventError."""
    decoder = _DECODERS.get(stored.topic)
    if decoder is None:
        raise UnknownEventError(f"the log holds {stored.topic!r}, which this version does not know")
    event: Event = decoder.decode(stored.state).event
    return event
