"""The receipts of a batch's deliveries, which have their own stream (protocol rule 4)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from domain.batch_events import BatchEvent, RecordedOutcome
from domain.event import Event
from domain.outcome import Sent


class ReceiptKind(StrEnum):
    """What a receipt proves."""

    ECHO = "ECHO"  # the platform accepted the message: it was sent
    DELIVERED = "DELIVERED"  # it reached a device of the recipient
    READ = "READ"


class Receipt(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A receipt for the delivery at a position; only an echo has the platform's id of the message."""

    position: int
    kind: ReceiptKind
    time: datetime
    provider_message_id: str = ""


class ReceiptsRecorded(BatchEvent, frozen=True, kw_only=True):
    """Receipts for deliveries of a batch; they override outcomes in the batch's own stream, earlier or later."""

    receipts: tuple[Receipt, ...]


ReceiptKey = tuple[int, ReceiptKind]  # position and kind: only the first receipt of a kind counts


class BatchReceipts(msgspec.Struct, frozen=True, kw_only=True):
    """The receipts of a batch after all events of their stream; `version` is the version of the last event."""

    version: int = 0
    known: Mapping[ReceiptKey, Receipt] = {}

    def sent(self) -> Mapping[int, RecordedOutcome]:
        """Return the outcomes of the deliveries that an echo proves as sent, by position."""
        return {
            position: RecordedOutcome(position=position, outcome=Sent(echo.provider_message_id), time=echo.time)
            for (position, kind), echo in self.known.items()
            if kind is ReceiptKind.ECHO
        }


def fold(events: Iterable[Event]) -> BatchReceipts:
    """Return the receipts after all events of their stream; none if it is empty."""
    known: dict[ReceiptKey, Receipt] = {}
    version = 0
    for version, event in enumerate(events, start=1):  # noqa: B007 - the last value is used after the loop
        if not isinstance(event, ReceiptsRecorded):
            raise TypeError(f"not an event of receipts: {type(event).__name__}")
        known.update({(receipt.position, receipt.kind): receipt for receipt in event.receipts})
    return BatchReceipts(version=version, known=known)


def new_receipt_indexes(recorded: BatchReceipts, receipts: Sequence[Receipt]) -> tuple[int, ...]:
    """Return the indexes of the receipts that are new, each once; a delivery's other receipts need its echo first."""
    known = set(recorded.known)
    indexes = []
    for index, receipt in enumerate(receipts):
        key = (receipt.position, receipt.kind)
        if key not in known and (receipt.kind is ReceiptKind.ECHO or (receipt.position, ReceiptKind.ECHO) in known):
            known.add(key)
            indexes.append(index)
    return tuple(indexes)
