"""RecordReceipts: what the platform says of deliveries by itself, on streams of their own (protocol rule 4)."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from weakref import WeakValueDictionary

from domain.commands import RecordReceipts, ReportedReceipt
from domain.errors import Aborted
from domain.receipts import Receipt, ReceiptKind, ReceiptsRecorded, fold, new_receipt_indexes
from domain.streams import receipts_stream
from projections import receipts
from projections.receipts import DeliveryLocation, DeliveryReference, PageRecipient
from projections.sql import Sql, micros
from server.crypto.keyed_ids import KeyedIds
from server.eventstore.commit import Commit, Committed, EventLog, StreamEvents

REDOS = 20


class ReceiptCounts(NamedTuple):
    """What became of receipts: new, said before, or about nothing that the caller's pages are known to have sent."""

    recorded: int
    already_known: int
    unmatched: int


class _Match(NamedTuple):
    """A receipt of one delivery, and which of those that were told it is."""

    told: int
    receipt: Receipt


Batch = tuple[str, int, int]  # message, stage and number


class ReceiptService:
    """Records receipts; one append at a time to each stream (protocol rule 16)."""

    def __init__(self, log: EventLog, ids: KeyedIds, now: Callable[[], datetime]) -> None:
        self._log = log
        self._ids = ids
        self._now = now
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def record(self, command: RecordReceipts) -> ReceiptCounts:
        """Takes in what is new; raises Aborted, Unavailable, and then a repeat finds what was done.

        Echoes come first: by them the others find their way.
        """
        echoes = [told for told in command.receipts if told.kind is ReceiptKind.ECHO]
        others = [told for told in command.receipts if told.kind is not ReceiptKind.ECHO]
        counts = [await self._record_all(command.owner, told) for told in (echoes, others) if told]
        return ReceiptCounts(*map(sum, zip(*counts, strict=True))) if counts else ReceiptCounts(0, 0, 0)

    async def _record_all(self, owner: str, told: Sequence[ReportedReceipt]) -> ReceiptCounts:
        places = await self._log.read(lambda sql: self._places(sql, owner, told))
        matched = sum(map(bool, places))
        recorded = await asyncio.gather(*(self._record(*one) for one in self._by_batch(told, places).items()))
        new = len(frozenset().union(*recorded))
        return ReceiptCounts(new, matched - new, len(told) - matched)

    def _places(self, sql: Sql, owner: str, given: Sequence[ReportedReceipt]) -> Sequence[Sequence[DeliveryLocation]]:
        """Return the deliveries that each receipt is about: all receipts are echoes, or none is."""
        if given[0].kind is ReceiptKind.ECHO:
            names = [self._name(one) for one in given]
            return [(place,) if place else () for place in receipts.locate(sql, owner, names)]
        return [_sent_to(sql, PageRecipient(owner, one.page_id, one.recipient_id), one) for one in given]

    def _name(self, echo: ReportedReceipt) -> DeliveryReference | None:
        place = self._ids.place_of(echo.delivery_id)
        return None if place is None else DeliveryReference(echo.page_id, echo.recipient_id, *place)

    def _by_batch(
        self, told: Sequence[ReportedReceipt], places: Sequence[Sequence[DeliveryLocation]]
    ) -> Mapping[Batch, Sequence[_Match]]:
        now = self._now()
        found: defaultdict[Batch, list[_Match]] = defaultdict(list)
        for index, (one, sent) in enumerate(zip(told, places, strict=True)):
            for place in sent:
                receipt = Receipt(
                    position=place.position,
                    kind=one.kind,
                    time=min(one.time, now),  # the platform's clock may be ahead of ours
                    provider_message_id=one.provider_message_id if one.kind is ReceiptKind.ECHO else "",
                )
                found[place[:3]].append(_Match(index, receipt))
        return found

    async def _record(self, batch: Batch, matches: Sequence[_Match]) -> frozenset[int]:
        """Which of those that were told said something new."""
        message_id, _, number = batch
        stream = receipts_stream(*batch)
        async with self._locks.setdefault(stream, asyncio.Lock()):
            for _ in range(REDOS):
                book = fold(await self._log.load(stream))
                new = [matches[place] for place in new_receipt_indexes(book, [match.receipt for match in matches])]
                if not new:
                    return frozenset()
                recorded = ReceiptsRecorded(
                    message_id=message_id,
                    batch_number=number,
                    receipts=tuple(match.receipt for match in new),
                    time=self._now(),
                )
                commit = Commit([StreamEvents(stream, book.version, [recorded])])
                if isinstance(await self._log.commit(commit), Committed):
                    return frozenset(match.told for match in new)
        raise Aborted("the receipts of a batch changed too often: try again")  # without an id: the answer names none


def _sent_to(sql: Sql, person: PageRecipient, told: ReportedReceipt) -> Sequence[DeliveryLocation]:
    if told.watermark is None:
        place = receipts.find_by_provider_id(sql, person, told.provider_message_id)
        return () if place is None else (place,)
    sent = receipts.sent_until(sql, person, micros(told.watermark))
    unknown = [one.location for one in sent if not one.is_known(told.kind)]
    return unknown or [one.location for one in sent[:1]]  # all of it was said before: that of the last one too
