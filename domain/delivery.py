"""One attempt to reach one recipient, and what a recipient's attempts amount to."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

from domain.outcome import Failed, Outcome, Sent

_DELIVERY_ID = re.compile(r"([^\0]{1,128})\.([0-9]{1,9})\.([0-9]{1,9})(?:\.[0-9a-f]{20})?")


class DeliveryStatus(StrEnum):
    """The states of an attempt, and, folded, of a recipient."""

    PENDING = "PENDING"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    UNCONFIRMED = "UNCONFIRMED"
    CANCELLED = "CANCELLED"

    __hash__ = str.__hash__  # an enum's own runs in Python: ten times as long, in every count

    @property
    def is_open(self) -> bool:
        """Something may still leave."""
        return self in (DeliveryStatus.PENDING, DeliveryStatus.SENDING)


def status_of(outcome: Outcome) -> DeliveryStatus:
    """The status that an outcome gives its delivery."""
    if isinstance(outcome, Sent):
        return DeliveryStatus.SENT
    if isinstance(outcome, Failed):
        return DeliveryStatus.FAILED
    return DeliveryStatus.UNCONFIRMED


def delivery_id(message_id: str, batch_number: int, position: int, tag: str = "") -> str:
    """Return the id of a delivery: stable and unique. The platform carries it as metadata.

    The tag proves that a server with the secret key made it (server/crypto/keyed_ids.py).
    """
    place = f"{message_id}.{batch_number}.{position}"
    return f"{place}.{tag}" if tag else place


def parse_delivery_id(metadata: str) -> tuple[str, int, int] | None:
    """Return the message, batch and position of a delivery's id, unproven; None for any other metadata."""
    found = _DELIVERY_ID.fullmatch(metadata)
    return None if found is None else (found[1], int(found[2]), int(found[3]))


class Attempted(Protocol):
    """Anything that stands for one attempt."""

    @property
    def attempt_number(self) -> int: ...
    @property
    def status(self) -> DeliveryStatus: ...


A = TypeVar("A", bound=Attempted)


def deciding_attempt(attempts: Sequence[A]) -> A:
    """The attempt that a recipient stands by: a sent one, else the open one, else the last that was not cancelled."""
    in_order = sorted(attempts, key=lambda attempt: attempt.attempt_number)
    for kind in (_is_sent, _is_open, _is_not_cancelled):
        found = [attempt for attempt in in_order if kind(attempt)]
        if found:
            return found[-1]
    return in_order[-1]


def _is_sent(attempt: Attempted) -> bool:
    return attempt.status is DeliveryStatus.SENT


def _is_open(attempt: Attempted) -> bool:
    return attempt.status.is_open


def _is_not_cancelled(attempt: Attempted) -> bool:
    return attempt.status is not DeliveryStatus.CANCELLED
