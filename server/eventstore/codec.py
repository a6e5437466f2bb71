"""The codec: each event is stored under a name with a version, as typed JSON (0.1-0.4 microseconds with msgspec)."""

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
    """An event as it is stored. After a lost connection, the append_id shows whose append it was (protocol rule 17)."""

    append_id: str
    event: E


class _AppendId(msgspec.Struct, frozen=True):
    append_id: str


# The name and version under which each event is stored. A changed event gets a new version, and this module alone
# decodes the old version to the new type. A name never changes.
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
# A label (title, page name, reason) that crypto/labels.py sealed has this prefix in its event; the rest is base64.
SEALED_LABEL = "sealed:v1:"

_NAMES = {event_type: name for name, event_type in TYPES.items()}
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(Envelope[event_type])  # type: ignore[valid-type]  # a type made at run time
    for name, event_type in TYPES.items()
}
_ENCODER = msgspec.json.Encoder()


class UnknownEventError(Exception):
    """The log has an event of a type that this release does not know: a newer release wrote it."""


def encode(stream: str, version: int, append_id: str, event: Event) -> StoredEvent:
    """Return an event as the log stores it."""
    state = _ENCODER.encode(Envelope(append_id, event))
    return StoredEvent(originator_id=stream, originator_version=version, topic=name_of(event), state=state)


def name_of(event: Event) -> str:
    """Return the name and version under which an event is stored."""
    return _NAMES[type(event)]


def is_sealed_label(text: str) -> bool:
    """Return whether a label in an event has the form of a sealed one."""
    return text.startswith(SEALED_LABEL)


def append_id_of(stored: StoredEvent) -> str:
    """Return the id of the append that wrote an event."""
    return msgspec.json.decode(stored.state, type=_AppendId).append_id


def decode(stored: StoredEvent) -> Event:
    """Return a stored event as the domain's type; raises UnknownEventError."""
    decoder = _DECODERS.get(stored.topic)
    if decoder is None:
        raise UnknownEventError(f"the log holds {stored.topic!r}, which this version does not know")
    event: Event = decoder.decode(stored.state).event
    return event
