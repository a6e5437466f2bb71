"""The platform's webhook bodies: which receipts they hold for messages that a page has sent.

Source: the platform's documents ("message_echoes", "message_deliveries", "message_reads" among the Messenger Platform's
webhook events). An entry's id is the page's. The person is the recipient of an echo, and the sender of a delivery or a
read. `mids` may be absent, a delivery may have no timestamp, a read has only a watermark; times are in milliseconds.
An event without a usable timestamp has the time of its watermark, else of its entry, else of the body's arrival.
Events of a conversation that another app controls come under `standby`. Each entry, event and message id is read
separately: one that cannot be parsed is counted by kind and skipped. The platform repeats a refused body, so NaN,
duplicate keys and bytes that are not UTF-8 do not cause a refusal.
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
Unparsed: TypeAlias = Counter[str]  # what could not be parsed, by kind
Milliseconds = int

ENTRY, PAGE_ID, EVENTS, EVENT, KIND, ECHO_PARTS, DELIVERY_PARTS, READ_PARTS = (
    *("entry", "page_id", "events", "event", "unknown_kind"),
    *("echo", "delivery", "read"),
)
# Events without receipts, from the platform's list of webhook events.
_OTHER_KINDS = frozenset(
    [
        *("message", "postback", "reaction", "referral", "optin", "message_edit", "account_linking", "feedback"),
        *("pass_thread_control", "take_thread_control", "request_thread_control", "app_roles", "game_play"),
        *("policy_enforcement", "response_feedback", "messaging_feedback", "order"),
    ]
)
_LONGEST_NUMBER = 32  # digits; Python refuses to read one of more than 4,300

# The limits of the contract: one receipt beyond them would make the server refuse all receipts of the call.
_PAGE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PERSON = re.compile(r"[^\s\0\ud800-\udfff]{1,128}")
_TEXT = re.compile(r"[^\0\ud800-\udfff]{1,1000}")  # an unpaired surrogate cannot be encoded
_LATEST = 253_402_300_799_999  # milliseconds: the end of the year 9999
_TIME_AS_TEXT = re.compile(r"[0-9]{1,15}")  # as many digits as the latest time has


class UnreadableError(Exception):
    """The body is not a JSON object with entries."""


class Reading(NamedTuple):
    """The receipts in a body, and how many of its parts could not be parsed, by kind."""

    receipts: Sequence[Receipt]
    unparsed: Mapping[str, int]


def read_body(body: bytes, received: Milliseconds) -> Reading:
    """Read a body that arrived at `received`; raises UnreadableError if it is not an object with a list of entries.

    If `received` is 0, events without a usable time are skipped.
    """
    read = _decoded(body)
    unparsed: Unparsed = Counter()
    receipts = [receipt for entry in _entries(read) for receipt in _of_entry(entry, received, unparsed)]
    return Reading(receipts, unparsed)


def _decoded(body: bytes) -> Json:
    try:
        return json.loads(
            body.decode("utf-8-sig", "replace"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_constant=lambda _: None,
        )
    except (ValueError, RecursionError) as error:
        raise UnreadableError(type(error).__name__) from None  # its text may quote the body


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


def _of_entry(entry: Json, received: Milliseconds, unparsed: Unparsed) -> Iterator[Receipt]:
    if not isinstance(entry, dict):
        unparsed[ENTRY] += 1
        return
    page_id = _id(entry.get("id"))
    if _PAGE.fullmatch(page_id) is None:
        unparsed[PAGE_ID] += 1
        return
    fallback = _time(entry.get("time")) or received
    for event in _events(entry, unparsed):
        for found in _found_in(event, fallback, unparsed):
            yield _receipt(page_id, found)


def _events(entry: Mapping[str, Json], unparsed: Unparsed) -> Iterator[Mapping[str, Json]]:
    for name in ("messaging", "standby"):
        events = entry.get(name)
        if events is not None and not isinstance(events, list):
            unparsed[EVENTS] += 1
            continue
        for event in events or ():
            if isinstance(event, dict):
                yield event
            else:
                unparsed[EVENT] += 1


class _Found(NamedTuple):
    """One receipt before it is written: what has no watermark is named by the platform's id."""

    kind: ReceiptKind.ValueType
    person: str
    time: Milliseconds
    metadata: str = ""
    mid: str = ""
    watermark: Milliseconds | None = None


def _found_in(event: Mapping[str, Json], fallback: Milliseconds, unparsed: Unparsed) -> Iterator[_Found]:
    message, delivery, read = (_part(event, name) for name in ("message", "delivery", "read"))
    person = _id(_part(event, "sender").get("id"))
    watermark = _time((delivery or read).get("watermark"))
    time = _time(event.get("timestamp")) or watermark or fallback
    if message.get("is_echo") is True:
        yield from _echo(event, message, time, unparsed)
    elif delivery:
        yield from _delivery(delivery, person, time, unparsed)
    elif read:
        yield from _counted(_Found(READ, person, time, watermark=watermark), unparsed, READ_PARTS)
    elif not event.keys() & _OTHER_KINDS:
        unparsed[KIND] += 1


def _echo(
    event: Mapping[str, Json], message: Mapping[str, Json], time: Milliseconds, unparsed: Unparsed
) -> Iterator[_Found]:
    metadata, mid = message.get("metadata"), message.get("mid")
    if not metadata:
        return  # a message that another app sent
    person = _id(_part(event, "recipient").get("id"))
    yield from _counted(_Found(ECHO, person, time, metadata=_text(metadata), mid=_text(mid)), unparsed, ECHO_PARTS)


def _delivery(delivery: Mapping[str, Json], person: str, time: Milliseconds, unparsed: Unparsed) -> Iterator[_Found]:
    mids, watermark = delivery.get("mids"), _time(delivery.get("watermark"))
    if not isinstance(mids, list | None):
        unparsed[DELIVERY_PARTS] += 1  # the watermark says the same
        mids = None
    if not mids:
        yield from _counted(_Found(DELIVERED, person, time, watermark=watermark), unparsed, DELIVERY_PARTS)
    for mid in mids or ():
        yield from _counted(_Found(DELIVERED, person, time, mid=_text(mid)), unparsed, DELIVERY_PARTS)


def _counted(found: _Found, unparsed: Unparsed, kind: str) -> Iterator[_Found]:
    """Yield what the contract accepts; count the rest."""
    if _is_in_order(found):
        yield found
    else:
        unparsed[kind] += 1


def _is_in_order(found: _Found) -> bool:
    if _PERSON.fullmatch(found.person) is None or not found.time:
        return False
    if found.kind == ECHO and _TEXT.fullmatch(found.metadata) is None:
        return False
    return _TEXT.fullmatch(found.mid) is not None if found.watermark is None else bool(found.watermark)


def _part(event: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return an object in an event; an empty one if it is missing or not an object."""
    part = event.get(name)
    return part if isinstance(part, dict) else {}


def _id(given: Json) -> str:
    """Return an id; the platform sends texts and numbers."""
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else ""


def _text(given: Json) -> str:
    return given if isinstance(given, str) else ""


def _time(given: Json) -> Milliseconds:
    """Return a time, or 0; whole numbers are accepted also as floats and as strings of digits."""
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
