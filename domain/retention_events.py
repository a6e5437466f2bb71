"""The events of retention: cleanups, which remove old finished deliveries from the read models, and erasures."""

from datetime import datetime

import msgspec

from domain.event import Event, RequestStamp


class CleanupEvent(Event, frozen=True, kw_only=True):
    """An event of one cleanup's stream."""

    cleanup_id: str


class CleanupStarted(CleanupEvent, frozen=True, kw_only=True):
    """A caller requested the removal of finished deliveries that have not changed since `before`."""

    requested_by: str
    before: datetime
    request: RequestStamp | None = None


class CleanupCounted(CleanupEvent, frozen=True, kw_only=True):
    """The number of deliveries to remove, counted at the start."""

    deliveries: int


class CleanedPart(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A range of batches of a message, `last_batch` included, and how many of their deliveries were removed."""

    message_id: str
    first_batch: int
    last_batch: int
    deliveries: int


class DeliveriesCleaned(CleanupEvent, frozen=True, kw_only=True):
    """All removable deliveries of these parts that had not changed since `before` were removed.

    `before` and the event's position in the log identify the removed rows, so a rebuild removes the same ones.
    """

    before: datetime
    parts: tuple[CleanedPart, ...]


class CleanupCompleted(CleanupEvent, frozen=True, kw_only=True):
    """All deliveries of the cleanup are removed."""


class PersonErased(Event, frozen=True, kw_only=True):
    """The person's data under this id is unreadable, and pending deliveries to them are not sent.

    The id stays in the log: it is the page's pseudonym for the person, and shows that a message was sent to a
    recipient. `messages` lists the messages that had the person as a recipient at that time.
    """

    recipient_id: str
    messages: tuple[str, ...]
    requested_by: str
    request: RequestStamp | None = None
