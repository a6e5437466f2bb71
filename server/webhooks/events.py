"""The platform's webhook bodies, as far as they tell of messages that a page has sent.

After the platform's documents ("message_echoes", "message_deliveries", "message_reads" among the Messenger Platform's
webhook events): an entry's id is the page's; an echo's recipient is the person, and so is the sender of a delivery or a
read. `mids` may be absent, a delivery may have no timestamp, a read has a watermark only; times are milliseconds.
An event without a usable timestamp has its watermark's time, else its entry's, else the time at which the body arrived.
Events of a conversation that another app holds come under `standby`. Each entry, event and message id is read by
itself: one that cannot be understood is counted by its kind and left out, and all others are taken. The platform brings
a refused body again and again, so numbers that JSON does not have (NaN), keys that come twice, and bytes that are not
UTF-8 are no reason to refuse one either.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from redrive.v1.receipt_service_pb2 import Receipt, ReceiptKind

ECHO, DELIVERED, READ = (
    ReceiptKind.RECEIPT_KIND_ECHO,
    ReceiptKind.RECEIPT_KIND_DELIVERED,
    ReceiptKind.RECEIPT_KIND_READ,
)
Json: TypeAlias = Any  # what json.loads returns
Odd: TypeAlias = Counter[str]  # what was not understood, by kind
Milliseconds = int

ENTRY, PAGE_ID, EVENTS, EVENT, KIND, ECHO_PARTS, DELIVERY_PARTS, READ_PARTS = (
    *("entry", "page_id", "events", "event", "unknown_kind"),
    *("echo", "delivery", "read"),
)
# Events that say nothing of deliveries, from the platform's list of webhook events.
_OTHER_KINDS = frozenset(
    [
        *("message", "postback", "reaction", "referral", "optin", "message_edit", "account_linking", "feedback"),
        *("pass_thread_control", "take_thread_control", "request_thread_control", "app_roles", "game_play"),
        *("policy_enforcement", "response_feedback", "messaging_feedback", "order"),
    ]
)
_LONGEST_NUMBER = 32  # digits; Python refuses to read one of more than 4,300

# As the contract has them: one receipt that breaks a rule would keep all of them from being recorded.
_PAGE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PERSON = re.compile(r"[^\s\0\ud800-\udfff]{1,128}")
_TEXT = re.compile(r"[^\0\ud800-\udfff]{1,1000}")  # half a surrogate pair is no text that can be sent on
_LATEST = 253_402_300_799_999  # milliseconds: the end of the year 9999
_TIME_AS_TEXT = re.compile(r"[0-9]{1,15}")  # as many digits as the latest time has


class UnreadableError(Exception):
    """The body is no JSON object with entries."""


class Reading(NamedTuple):
    """What a body says of deliveries, and how many of its parts were not understood, by kind."""

    receipts: Sequence[Receipt]
    odd: Mapping[str, int]


def read_body(body: bytes, received: Milliseconds) -> Reading:
    """Read a body that arrived at `received`; raises UnreadableError only where it is no object with a list of entries.

    With 0 for `received`, events without any usable time are left out.
    """
    read = _decoded(body)
    odd: Odd = Counter()
    receipts = [receipt for entry in _entries(read) for receipt in _of_entry(entry, received, odd)]
    return Reading(receipts, odd)


def receipts_in(body: bytes, received: Milliseconds = 0) -> Sequence[Receipt]:
    """Return what a body says of deliveries; raises UnreadableError."""
    return read_body(body, received).receipts


def _decoded(body: bytes) -> Json:
    try:
        return json.loads(
            body.decode("utf-8-sig", "replace"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_constant=lambda _: None,
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableError(type(error).__name__) from None  # its text may show what the body holds


def _object(pairs: Sequence[tuple[str, Json]]) -> Mapping[str, Json]:
    """Return an object; of a key that comes twice the lists are joined, and of other values the last is taken."""
    found = dict(pairs)
    if len(found) < len(pairs):
        lists: dict[str, list[Json]] = {}
        for name, value in pairs:
            if isinstance(value, list):
                lists.setdefault(name, []).extend(value)
        found |= lists
    return found


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else None


def _entries(read: Json) -> Sequence[Json]:
    """Return the entries of pages; none of another object's (instagram)."""
    if not isinstance(read, dict) or not isinstance(read.get("object", ""), str):
        raise UnreadableError("no object") from None
    entries = read.get("entry") or []
    if not isinstance(entries, list):
        raise UnreadableError("no list of entries") from None
    return entries if read.get("object") == "page" else []


def _of_entry(entry: Json, received: Milliseconds, odd: Odd) -> Iterator[Receipt]:
    if not isinstance(entry, dict):
        odd[ENTRY] += 1
        return
    page_id = _id(entry.get("id"))
    if _PAGE.fullmatch(page_id) is None:
        odd[PAGE_ID] += 1
        return
    fallback = _time(entry.get("time")) or received
    for event in _events(entry, odd):
        for found in _found_in(event, fallback, odd):
            yield _receipt(page_id, found)


def _events(entry: Mapping[str, Json], odd: Odd) -> Iterator[Mapping[str, Json]]:
    for name in ("messaging", "standby"):
        events = entry.get(name)
        if events is not None and not isinstance(events, list):
            odd[EVENTS] += 1
            continue
        for event in events or ():
            if isinstance(event, dict):
                yield event
            else:
                odd[EVENT] += 1


class _Found(NamedTuple):
    """One receipt before it is written: what has no watermark is named by the platform's id."""

    kind: ReceiptKind.ValueType
    person: str
    time: Milliseconds
    metadata: str = ""
    mid: str = ""
    watermark: Milliseconds | None = None


def _found_in(event: Mapping[str, Json], fallback: Milliseconds, odd: Odd) -> Iterator[_Found]:
    message, delivery, read = (_part(event, name) for name in ("message", "delivery", "read"))
    person = _id(_part(event, "sender").get("id"))
    watermark = _time((delivery or read).get("watermark"))
    time = _time(event.get("timestamp")) or watermark or fallback
    if message.get("is_echo") is True:
        yield from _echo(event, message, time, odd)
    elif delivery:
        yield from _delivery(delivery, person, time, odd)
    elif read:
        yield from _counted(_Found(READ, person, time, watermark=watermark), odd, READ_PARTS)
    elif not event.keys() & _OTHER_KINDS:
        odd[KIND] += 1


def _echo(event: Mapping[str, Json], message: Mapping[str, Json], time: Milliseconds, odd: Odd) -> Iterator[_Found]:
    metadata, mid = message.get("metadata"), message.get("mid")
    if not metadata:
        return  # it is no message of ours
    person = _id(_part(event, "recipient").get("id"))
    yield from _counted(_Found(ECHO, person, time, metadata=_text(metadata), mid=_text(mid)), odd, ECHO_PARTS)


def _delivery(delivery: Mapping[str, Json], person: str, time: Milliseconds, odd: Odd) -> Iterator[_Found]:
    mids, watermark = delivery.get("mids"), _time(delivery.get("watermark"))
    if not isinstance(mids, list | None):
        odd[DELIVERY_PARTS] += 1  # the watermark alone says as much
        mids = None
    if not mids:
        yield from _counted(_Found(DELIVERED, person, time, watermark=watermark), odd, DELIVERY_PARTS)
    for mid in mids or ():
        yield from _counted(_Found(DELIVERED, person, time, mid=_text(mid)), odd, DELIVERY_PARTS)


def _counted(found: _Found, odd: Odd, kind: str) -> Iterator[_Found]:
    """Yield what the contract takes; count the rest."""
    if _is_in_order(found):
        yield found
    else:
        odd[kind] += 1


def _is_in_order(found: _Found) -> bool:
    if _PERSON.fullmatch(found.person) is None or not found.time:
        return False
    if found.kind == ECHO and _TEXT.fullmatch(found.metadata) is None:
        return False
    return _TEXT.fullmatch(found.mid) is not None if found.watermark is None else bool(found.watermark)


def _part(event: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return an object of an event; an empty one in place of anything else."""
    part = event.get(name)
    return part if isinstance(part, dict) else {}


def _id(given: Json) -> str:
    """Return an id; texts and numbers were both seen."""
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""


def _text(given: Json) -> str:
    return given if isinstance(given, str) else ""


def _time(given: Json) -> Milliseconds:
    """Return a time; 0 in place of what is none. Whole numbers are taken also as floats and as strings of digits."""
    if isinstance(given, str):
        given = int(given) if _TIME_AS_TEXT.fullmatch(given) else 0
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    return int(given) if is_number and 0 < given <= _LATEST and given == int(given) else 0


def _receipt(page_id: str, found: _Found) -> Receipt:
    receipt = Receipt(
        kind=found.kind,
        page_id=page_id,
        recipient_id=found.person,
        delivery_id=found.metadata,
        provider_message_id=found.mid,
    )
    receipt.time.FromMilliseconds(found.time)
    if found.watermark is not None:
        receipt.watermark.FromMilliseconds(found.watermark)
    return receipt
