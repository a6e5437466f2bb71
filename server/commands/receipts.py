"""RecordReceipts: what the platform reports about deliveries, on streams of their own (protocol rule 4)."""

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
from server.commands.decisions import Decision, append, commit_decision
from server.crypto.keyed_ids import KeyedIds
from server.eventstore.commit import EventLog

_Batch = tuple[str, int, int]  # message id, stage, number


class ReceiptCounts(NamedTuple):
    """How many receipts were new, were known, or match no delivery of the caller's pages."""

    recorded: int
    already_known: int
    unmatched: int


class _Match(NamedTuple):
    """A receipt of one delivery, and the index of the request's receipt that it comes from."""

    request_index: int
    receipt: Receipt


class ReceiptService:
    """Records receipts, with one append at a time to each stream (protocol rule 16)."""

    def __init__(self, log: EventLog, ids: KeyedIds, now: Callable[[], datetime]) -> None:
        self._log = log
        self._ids = ids
        self._now = now
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def record(self, command: RecordReceipts) -> ReceiptCounts:
        """Record new receipts. Raises Aborted, Unavailable; a repeated request then records the rest.

        Echoes are recorded first, because they hold the platform's ids by which other receipts are matched.
        """
        echoes = [receipt for receipt in command.receipts if receipt.kind is ReceiptKind.ECHO]
        others = [receipt for receipt in command.receipts if receipt.kind is not ReceiptKind.ECHO]
        counts = [await self._record_all(command.owner, received) for received in (echoes, others) if received]
        return ReceiptCounts(*map(sum, zip(*counts, strict=True))) if counts else ReceiptCounts(0, 0, 0)

    async def _record_all(self, owner: str, received: Sequence[ReportedReceipt]) -> ReceiptCounts:
        places = await self._log.read(lambda sql: self._places(sql, owner, received))
        matched = sum(map(bool, places))
        recorded = await asyncio.gather(*(self._record(*one) for one in self._by_batch(received, places).items()))
        new = len(frozenset().union(*recorded))
        return ReceiptCounts(new, matched - new, len(received) - matched)

    def _places(
        self, sql: Sql, owner: str, received: Sequence[ReportedReceipt]
    ) -> Sequence[Sequence[DeliveryLocation]]:
        """Return the deliveries that each receipt is about. All receipts are echoes, or none is."""
        if received[0].kind is ReceiptKind.ECHO:
            names = [self._name(one) for one in received]
            return [(place,) if place else () for place in receipts.locate(sql, owner, names)]
        return [_sent_to(sql, PageRecipient(owner, one.page_id, one.recipient_id), one) for one in received]

    def _name(self, echo: ReportedReceipt) -> DeliveryReference | None:
        place = self._ids.verified_place(echo.delivery_id)
        return None if place is None else DeliveryReference(echo.page_id, echo.recipient_id, *place)

    def _by_batch(
        self, received: Sequence[ReportedReceipt], places: Sequence[Sequence[DeliveryLocation]]
    ) -> Mapping[_Batch, Sequence[_Match]]:
        now = self._now()
        found: defaultdict[_Batch, list[_Match]] = defaultdict(list)
        for index, (one, sent) in enumerate(zip(received, places, strict=True)):
            for place in sent:
                receipt = Receipt(
                    position=place.position,
                    kind=one.kind,
                    time=min(one.time, now),  # the platform's clock may be ahead
                    provider_message_id=one.provider_message_id if one.kind is ReceiptKind.ECHO else "",
                )
                found[place[:3]].append(_Match(index, receipt))
        return found

    async def _record(self, batch: _Batch, matches: Sequence[_Match]) -> frozenset[int]:
        """Record the new receipts of one batch; return their indexes in the request."""
        message_id, _, number = batch
        stream = receipts_stream(*batch)

        async def decision() -> Decision[frozenset[int]]:
            recorded = fold(await self._log.load(stream))
            new = [matches[place] for place in new_receipt_indexes(recorded, [match.receipt for match in matches])]
            receipts = tuple(match.receipt for match in new)
            event = ReceiptsRecorded(message_id=message_id, batch_number=number, receipts=receipts, time=self._now())
            commit = append(stream, recorded.version, [event] if new else [])
            return Decision(frozenset(match.request_index for match in new), commit)

        # without an id: a request has many batches, of any message
        aborted = Aborted("the receipts of a batch changed too often: try again")
        async with self._locks.setdefault(stream, asyncio.Lock()):
            return await commit_decision(self._log, decision, aborted)


def _sent_to(sql: Sql, person: PageRecipient, receipt: ReportedReceipt) -> Sequence[DeliveryLocation]:
    """Return the deliveries to a person that a receipt is about.

    Without the platform's id those are all that were sent until the watermark and do not have this receipt yet. If all
    have it, the last one is used, so that the receipt counts as known.
    """
    if receipt.watermark is None:
        place = receipts.find_by_provider_id(sql, person, receipt.provider_message_id)
        return () if place is None else (place,)
    sent = receipts.sent_until(sql, person, micros(receipt.watermark))
    unknown = [one.location for one in sent if not one.is_known(receipt.kind)]
    return unknown or [one.location for one in sent[:1]]
