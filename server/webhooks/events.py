"""The platform's webhook bodies, as far as they tell of messages that a page has sent.

After the platform's documents ("message_echoes", "message_deliveries", "message_reads" among the Messenger Platform's
webhook events): an entry's id is the page's; an echo's recipient is the person, and so is the sender of a delivery or a
read. `mids` may be absent, a delivery may have no timestamp, a read has a watermark only; times are milliseconds.
Events of a conversation that another app holds come under `standby`. Whatever else comes is passed over, also a part
that cannot be read: the platform would bring the whole of it again and again.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from redrive.v1.receipt_service_pb2 import Receipt, ReceiptKind

ECHO, DELIVERED, READ = (
    ReceiptKind.RECEIPT_KIND_ECHO,
    ReceiptKind.RECEIPT_KIND_DELIVERED,
    ReceiptKind.RECEIPT_KIND_READ,
)
Id = str | int  # both were seen
Milliseconds = int


class _Party(msgspec.Struct, frozen=True):
    id: Id = ""


class _Message(msgspec.Struct, frozen=True):
    mid: str = ""
    is_echo: bool = False
    metadata: str = ""


class _Delivery(msgspec.Struct, frozen=True):
    mids: list[str] | None = None
    watermark: Milliseconds = 0


class _Read(msgspec.Struct, frozen=True):
    watermark: Milliseconds = 0


class _Event(msgspec.Struct, frozen=True):
    sender: _Party = _Party()
    recipient: _Party = _Party()
    timestamp: Milliseconds = 0
    message: _Message | None = None
    delivery: _Delivery | None = None
    read: _Read | None = None


class _Entry(msgspec.Struct, frozen=True):
    id: Id = ""
    messaging: list[msgspec.Raw] = []
    standby: list[msgspec.Raw] = []


class _Body(msgspec.Struct, frozen=True):
    object: str = ""
    entry: list[msgspec.Raw] = []


_body = msgspec.json.Decoder(_Body)
_entry = msgspec.json.Decoder(_Entry)
_event = msgspec.json.Decoder(_Event)
D = TypeVar("D")

# As the contract has them: one receipt that breaks a rule would keep all of them from being recorded.
_PAGE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PERSON = re.compile(r"[^\s\0]{1,128}")
_TEXT = re.compile(r"[^\0]{1,1000}")
_LATEST = 253_402_300_799_999  # milliseconds: the end of the year 9999


class UnreadableError(Exception):
    """The body is no JSON object with entries."""


def receipts_in(body: bytes) -> Sequence[Receipt]:
    """What a body tells of deliveries; raises UnreadableError."""
    try:
        read = _body.decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise UnreadableError(type(error).__name__) from None  # its text may show what the body holds
    if read.object != "page":
        return []
    return [receipt for entry in _readable(_entry, read.entry) for receipt in _of_entry(entry)]


def _readable(decoder: msgspec.json.Decoder[D], parts: Sequence[msgspec.Raw]) -> Iterator[D]:
    for part in parts:
        try:
            yield decoder.decode(part)
        except (ValueError, RecursionError):
            continue


def _of_entry(entry: _Entry) -> Iterator[Receipt]:
    page_id = str(entry.id)
    if _PAGE.fullmatch(page_id) is None:
        return
    for event in _readable(_event, [*entry.messaging, *entry.standby]):
        for told in _told_by(event):
            if _is_in_order(told):
                yield _receipt(page_id, told)


class _Told(NamedTuple):
    """One receipt before it is looked at: what has no watermark is named by the platform's id."""

    kind: ReceiptKind.ValueType
    person: Id
    time: Milliseconds
    metadata: str = ""
    mid: str = ""
    watermark: Milliseconds | None = None


def _told_by(event: _Event) -> Iterator[_Told]:
    message, delivery, read, person, time = event.message, event.delivery, event.read, event.sender.id, event.timestamp
    if message is not None and message.is_echo:
        yield _Told(ECHO, event.recipient.id, time, metadata=message.metadata, mid=message.mid)
    elif delivery is not None and delivery.mids:
        for mid in delivery.mids:
            yield _Told(DELIVERED, person, time or delivery.watermark, mid=mid)
    elif delivery is not None:
        yield _Told(DELIVERED, person, time or delivery.watermark, watermark=delivery.watermark)
    elif read is not None:
        yield _Told(READ, person, time or read.watermark, watermark=read.watermark)


def _is_in_order(told: _Told) -> bool:
    if _PERSON.fullmatch(str(told.person)) is None or not _is_time(told.time):
        return False
    if told.kind == ECHO and _TEXT.fullmatch(told.metadata) is None:
        return False  # without metadata it is no message of ours
    return _TEXT.fullmatch(told.mid) is not None if told.watermark is None else _is_time(told.watermark)


def _is_time(milliseconds: Milliseconds) -> bool:
    return 0 < milliseconds <= _LATEST


def _receipt(page_id: str, told: _Told) -> Receipt:
    receipt = Receipt(
        kind=told.kind,
        page_id=page_id,
        recipient_id=str(told.person),
        delivery_id=told.metadata,
        provider_message_id=told.mid,
    )
    receipt.time.FromMilliseconds(told.time)
    if told.watermark is not None:
        receipt.watermark.FromMilliseconds(told.watermark)
    return receipt
