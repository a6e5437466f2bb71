"""All receipts of one batch: what is known of its deliveries, and what says something new."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from domain.batch_events import RecordedOutcome
from domain.event import Event
from domain.outcome import Sent
from domain.receipt_events import Receipt, ReceiptKind, ReceiptsRecorded

Key = tuple[int, ReceiptKind]  # the first receipt of a kind counts


class BatchReceipts(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of a receipts' stream amount to; `version` is the last one's."""

    version: int = 0
    known: Mapping[Key, Receipt] = {}

    def sent(self) -> Mapping[int, RecordedOutcome]:
        """The deliveries that are known to have been sent, by position."""
        return {
            position: RecordedOutcome(position=position, outcome=Sent(echo.provider_message_id), time=echo.time)
            for (position, kind), echo in self.known.items()
            if kind is ReceiptKind.ECHO
        }


def fold(events: Iterable[Event]) -> BatchReceipts:
    """The receipts that a whole stream amounts to; none when it is empty."""
    known: dict[Key, Receipt] = {}
    version = 0
    for version, event in enumerate(events, start=1):  # noqa: B007 - the last one's stays
        if not isinstance(event, ReceiptsRecorded):
            raise TypeError(f"not an event of receipts: {type(event).__name__}")
        known.update({(receipt.position, receipt.kind): receipt for receipt in event.receipts})
    return BatchReceipts(version=version, known=known)


def news(book: BatchReceipts, receipts: Sequence[Receipt]) -> tuple[int, ...]:
    """The places of those that say something new: each once, and nothing of a delivery that has no echo."""
    known = set(book.known)
    found = []
    for place, receipt in enumerate(receipts):
        key = (receipt.position, receipt.kind)
        if key not in known and (receipt.kind is ReceiptKind.ECHO or (receipt.position, ReceiptKind.ECHO) in known):
            known.add(key)
            found.append(place)
    return tuple(found)
