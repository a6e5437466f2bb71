"""A delivery: one attempt to send a message to one recipient; its id, its status, and a recipient's status."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

from domain.outcome import Failed, Outcome, Sent

_DELIVERY_ID = re.compile(r"([^\0]{1,128})\.([0-9]{1,9})\.([0-9]{1,9})(?:\.[0-9a-f]{20})?")


class DeliveryStatus(StrEnum):
    """The status of a delivery. A recipient has the status of its deciding attempt."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    UNCONFIRMED = "UNCONFIRMED"
    CANCELLED = "CANCELLED"

    __hash__ = str.__hash__  # Enum.__hash__ runs in Python and takes ten times as long; every count hashes statuses

    @property
    def is_open(self) -> bool:
        """Whether the delivery has no final outcome yet."""
        return self in (DeliveryStatus.PENDING, DeliveryStatus.SENDING)


def status_of(outcome: Outcome) -> DeliveryStatus:
    """Return the status of a delivery with this outcome."""
    if isinstance(outcome, Sent):
        return DeliveryStatus.SENT
    if isinstance(outcome, Failed):
        return DeliveryStatus.FAILED
    return DeliveryStatus.UNCONFIRMED


def delivery_id(message_id: str, batch_number: int, position: int, tag: str = "") -> str:
    """Return the stable, unique id of a delivery, which is sent to the platform as metadata.

    The tag proves that a server with the secret key made the id (server/crypto/keyed_ids.py).
    """
    plain_id = f"{message_id}.{batch_number}.{position}"
    return f"{plain_id}.{tag}" if tag else plain_id


def parse_delivery_id(metadata: str) -> tuple[str, int, int] | None:
    """Return the message, batch and position of a delivery id, without checking its tag; None for other metadata."""
    found = _DELIVERY_ID.fullmatch(metadata)
    return None if found is None else (found[1], int(found[2]), int(found[3]))


class AttemptLike(Protocol):
    """An object with the number and the status of one attempt."""

    @property
    def attempt_number(self) -> int: ...
    @property
    def status(self) -> DeliveryStatus: ...


A = TypeVar("A", bound=AttemptLike)


def deciding_attempt(attempts: Sequence[A]) -> A:
    """Return the attempt that decides a recipient's status.

    It is the sent one, else the open one, else the last one that is not cancelled, else the last one.
    """
    in_order = sorted(attempts, key=lambda attempt: attempt.attempt_number)
    for kind in (_is_sent, _is_open, _is_not_cancelled):
        found = [attempt for attempt in in_order if kind(attempt)]
        if found:
            return found[-1]
    return in_order[-1]


def _is_sent(attempt: AttemptLike) -> bool:
    return attempt.status is DeliveryStatus.SENT


def _is_open(attempt: AttemptLike) -> bool:
    return attempt.status.is_open


def _is_not_cancelled(attempt: AttemptLike) -> bool:
    return attempt.status is not DeliveryStatus.CANCELLED
