"""What happens to a cleanup: one that removes the read models' rows of deliveries that are over for long."""

from datetime import datetime

import msgspec

from domain.event import Event, RequestStamp


class CleanupEvent(Event, frozen=True, kw_only=True):
    """An event of one cleanup's stream."""

    cleanup_id: str


class CleanupStarted(CleanupEvent, frozen=True, kw_only=True):
    """Somebody wants what has not changed since `before` to be removed."""

    requested_by: str
    before: datetime
    request: RequestStamp | None = None


class CleanupCounted(CleanupEvent, frozen=True, kw_only=True):
    """So many deliveries there were to remove."""

    deliveries: int


class CleanedPart(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Some batches of a message, the last one included, and how many of their deliveries were removed."""

    message_id: str
    first_batch: int
    last_batch: int
    deliveries: int


class DeliveriesCleaned(CleanupEvent, frozen=True, kw_only=True):
    """Of these parts everything was removed that may be, as far as it had not changed since `before`.

    By that, and by where the event stands in the log, it is told again and again which rows these were.
    """

    before: datetime
    parts: tuple[CleanedPart, ...]


class CleanupCompleted(CleanupEvent, frozen=True, kw_only=True):
    """Nothing is left to remove."""
