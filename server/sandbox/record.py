"""Everything that was received: counts for every recipient, and the last arrivals in full."""

import re
import secrets
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from itertools import islice

import msgspec

# What reaches the sandbox, before and after it was decided on.


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """One message, or a token check, about to be decided on."""

    recipient: str | None  # None for a token check
    page: str
    token: str  # its fingerprint
    in_batch: bool = False


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One message that was received, as it stands in the record."""

    number: int  # from 1, in the order of arrival
    time: float  # seconds since 1970
    recipient: str  # empty where the request names none
    page: str
    token: str  # its fingerprint
    metadata: str  # the message's own: Redrive puts the delivery's id there
    outcome: str  # what was answered: "accepted", "error:100-2018001", "timeout", ...
    accepted: bool  # the message counts as delivered, whatever was answered
    message_id: str  # empty unless accepted


DUPLICATES_SHOWN = 1_000
_DELIVERY_ID = re.compile(r"(.+)\.[0-9]+\.[0-9]+(?:\.[0-9a-f]{20})?", re.DOTALL)


class Repeat(msgspec.Struct, frozen=True, gc=False):
    """A recipient who got the same message more than once."""

    recipient: str
    message: str  # its id; empty where the metadata tells none: those count as one message


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The record in numbers."""

    received: int
    accepted: int
    by_outcome: dict[str, int]
    recipients: int  # for whom something arrived
    recipients_accepted: int  # for whom something was accepted
    duplicate_count: int  # recipients accepted more than once, whatever the messages
    duplicates: list[str]  # at most 1,000 of them
    repeat_count: int  # pairs of a recipient and a message that was accepted for them more than once
    repeats: list[Repeat]  # at most 1,000 of them


def message_of(metadata: str) -> str:
    """Return the message of a delivery's id (MESSAGE.BATCH.POSITION, with or without .TAG); "" for other metadata."""
    found = _DELIVERY_ID.fullmatch(metadata)
    return found[1] if found else ""


class ArrivalPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some arrivals, oldest first."""

    arrivals: list[Arrival]
    next_after: int | None  # ask again with after=this; None at the end


class RecipientCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How often something came for one recipient."""

    recipient: str
    received: int
    accepted: int


class RecipientPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some recipients, in the order in which they first appeared."""

    recipients: list[RecipientCounts]
    next_after: int | None  # ask again with after=this; None at the end


class Record:
    """Grows with the recipients, and with the messages that each was sent; only the last arrivals are kept in full."""

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
        self._id_prefix = f"m_{secrets.token_urlsafe(12)}"  # no two sandboxes give the same ids

    def add(self, incoming: Incoming, metadata: str, outcome: str, *, accepted: bool) -> str:
        """Writes down one message; returns the message id, empty unless accepted."""
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
        """Arrivals numbered above `after`; of one recipient, or of all when it is empty."""
        wanted = (
            arrival
            for arrival in self._arrivals
            if arrival.number > after and (not recipient or arrival.recipient == recipient)
        )
        found = list(islice(wanted, limit + 1))
        more = len(found) > limit
        return ArrivalPage(arrivals=found[:limit], next_after=found[limit - 1].number if more else None)

    def counts(self, recipient: str) -> RecipientCounts:
        """How often something came for one recipient."""
        return RecipientCounts(
            recipient=recipient,
            received=self._received.get(recipient, 0),
            accepted=self._accepted.get(recipient, 0),
        )

    def recipients(self, after: int, limit: int) -> RecipientPage:
        """Counts of the recipients behind the first `after` ones."""
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
        had_it = self._accepted_by_message[message]
        if recipient in had_it:
            self._repeats[Repeat(recipient, message)] = None
        had_it.add(recipient)
