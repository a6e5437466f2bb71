"""The record of everything received: counts per recipient, and the last arrivals in full."""

import re
import secrets
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from itertools import islice

import msgspec


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A message or token check, before faults are applied."""

    recipient: str | None  # None for a token check
    page: str
    token: str  # its fingerprint
    in_batch: bool = False


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A received message in the record."""

    number: int  # from 1, in the order of arrival
    time: float  # seconds since 1970
    recipient: str  # empty if the request names none
    page: str
    token: str  # its fingerprint
    metadata: str  # of the message; Redrive puts the delivery's id there
    outcome: str  # of the answer: "accepted", "error:100-2018001", "timeout", ...
    accepted: bool  # the message arrived, even if the answer was an error
    message_id: str  # empty unless accepted


DUPLICATES_SHOWN = 1_000
_DELIVERY_ID = re.compile(r"(.+)\.[0-9]+\.[0-9]+(?:\.[0-9a-f]{20})?", re.DOTALL)


class Repeat(msgspec.Struct, frozen=True, gc=False):
    """A recipient that received the same message more than once."""

    recipient: str
    message: str  # its id; messages without an id in their metadata count as one


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of the record."""

    received: int
    accepted: int
    by_outcome: dict[str, int]
    recipients: int  # with at least one arrival
    recipients_accepted: int  # with at least one accepted message
    duplicate_count: int  # recipients with more than one accepted message
    duplicates: list[str]  # at most 1,000 of them
    repeat_count: int  # pairs of recipient and message, accepted more than once
    repeats: list[Repeat]  # at most 1,000 of them


def message_of(metadata: str) -> str:
    """Return the message of a delivery's id (MESSAGE.BATCH.POSITION, with or without .TAG); "" for other metadata."""
    found = _DELIVERY_ID.fullmatch(metadata)
    return found[1] if found else ""


class ArrivalPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of arrivals, oldest first."""

    arrivals: list[Arrival]
    next_after: int | None  # `after` of the next page; None at the end


class RecipientCounts(msgspec.Struct, frozen=True, kw_only=True):
    """The number of arrivals of one recipient."""

    recipient: str
    received: int
    accepted: int


class RecipientPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of recipients, in order of their first arrival."""

    recipients: list[RecipientCounts]
    next_after: int | None  # `after` of the next page; None at the end


class Record:
    """The record; its memory grows with recipients and messages, but only the last arrivals are kept in full."""

    def __init__(self, keep_arrivals: int) -> None:
        self._arrivals: deque[Arrival] = deque(maxlen=keep_arrivals)
        self._by_outcome: Counter[str] = Counter()
        self._received: dict[str, int] = {}
        self._accepted: dict[str, int] = {}
        self._duplicates: dict[str, None] = {}
        self._accepted_by_message: defaultdict[str, set[str]] = defaultdict(set)
        self._repeats: dict[Repeat, None] = {}
        self._received_total = 0
        self._accepted_total = 0
        self._id_prefix = f"m_{secrets.token_urlsafe(12)}"  # unique per sandbox

    def add(self, incoming: Incoming, metadata: str, outcome: str, *, accepted: bool) -> str:
        """Record a message; return its message id, empty unless accepted."""
        self._received_total += 1
        self._by_outcome[outcome] += 1
        recipient = incoming.recipient or ""
        message_id = f"{self._id_prefix}{self._received_total:x}" if accepted else ""
        self._arrivals.append(
            Arrival(
                self._received_total,
                time.time(),
                recipient,
                incoming.page,
                incoming.token,
                metadata,
                outcome,
                accepted,
                message_id,
            )
        )
        if recipient:
            self._received[recipient] = self._received.get(recipient, 0) + 1
        if accepted:
            self._count_accepted(recipient, message_of(metadata))
        return message_id

    def summary(self) -> Summary:
        """The numbers so far."""
        return Summary(
            received=self._received_total,
            accepted=self._accepted_total,
            by_outcome=dict(self._by_outcome),
            recipients=len(self._received),
            recipients_accepted=len(self._accepted),
            duplicate_count=len(self._duplicates),
            duplicates=list(islice(self._duplicates, DUPLICATES_SHOWN)),
            repeat_count=len(self._repeats),
            repeats=list(islice(self._repeats, DUPLICATES_SHOWN)),
        )

    def arrivals(self, recipient: str, after: int, limit: int) -> ArrivalPage:
        """Return arrivals numbered above `after`, of one recipient, or of all if it is empty."""
        wanted = (
            arrival
            for arrival in self._arrivals
            if arrival.number > after and (not recipient or arrival.recipient == recipient)
        )
        found = list(islice(wanted, limit + 1))
        more = len(found) > limit
        return ArrivalPage(arrivals=found[:limit], next_after=found[limit - 1].number if more else None)

    def counts(self, recipient: str) -> RecipientCounts:
        """Return the counts of a recipient."""
        return RecipientCounts(
            recipient=recipient,
            received=self._received.get(recipient, 0),
            accepted=self._accepted.get(recipient, 0),
        )

    def recipients(self, after: int, limit: int) -> RecipientPage:
        """Return the counts of the recipients after the first `after` ones."""
        names: Sequence[str] = list(islice(self._received, after, after + limit))
        end = after + len(names)
        return RecipientPage(
            recipients=[self.counts(name) for name in names],
            next_after=end if end < len(self._received) else None,
        )

    def _count_accepted(self, recipient: str, message: str) -> None:
        self._accepted_total += 1
        count = self._accepted.get(recipient, 0) + 1
        self._accepted[recipient] = count
        if count == 2:
            self._duplicates[recipient] = None
        recipients = self._accepted_by_message[message]
        if recipient in recipients:
            self._repeats[Repeat(recipient, message)] = None
        recipients.add(recipient)
