"""Queries find the messages of one owner, or of all owners, on both databases."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from domain import batch as batches
from domain.message_events import MessageEvent
from domain.outcome import Outcome
from domain.owner import ANY_OWNER
from domain.receipts import Receipt, ReceiptKind, ReceiptsRecorded
from domain.streams import batch_stream, message_stream, receipts_stream
from projections import delivery_reports, message_rows, receipts
from projections.delivery_reports import ReportFilter
from projections.message_rows import MessageFilter
from projections.receipts import DeliveryReference, PageRecipient
from projections.sql import Sql, micros
from server.eventstore.commit import Commit, Committed, StreamEvents
from server.eventstore.event_store import EventStore
from tests.builders import FAILED, NOW, PAGE, after, batch_created, delivered, message_submitted
from tests.databases import opened

OWNERS = {"m-crm": "crm", "m-shop": "shop"}


class Kept:
    """A log with one failed message per owner; both have an echo from the platform."""

    def __init__(self, log: EventStore) -> None:
        self.log = log

    async def commit(self, stream: str, version: int, *events: Any) -> None:
        assert isinstance(await self.log.commit(Commit([StreamEvents(stream, version, events)])), Committed)

    async def fill(self) -> None:
        for message_id, owner in OWNERS.items():
            submitted: MessageEvent = message_submitted(1, message_id=message_id, owner=owner)
            await self.commit(message_stream(message_id), 0, submitted)
            stream, outcomes = batch_stream(message_id, 0, 1), dict[str, Outcome](ann=FAILED)
            await self.commit(stream, 0, batch_created("ann", message_id=message_id))
            batch = batches.fold(await self.log.load(stream))
            await self.commit(stream, batch.version, *delivered(batch, outcomes, now=NOW))
            echo = Receipt(position=0, kind=ReceiptKind.ECHO, time=NOW, provider_message_id=f"mid-{message_id}")
            receipts = ReceiptsRecorded(message_id=message_id, batch_number=1, receipts=(echo,), time=NOW)
            await self.commit(receipts_stream(message_id, 0, 1), 0, receipts)


@pytest.fixture
async def kept(database_url: str) -> AsyncIterator[Kept]:
    async with EventStore(opened(database_url)) as log:
        kept = Kept(log)
        await kept.fill()
        yield kept


def listed(sql: Sql, owner: str) -> set[str]:
    return {row.message_id for row in message_rows.list_newest(sql, MessageFilter(owner=owner), before=None, limit=9)}


def reported(sql: Sql, owner: str) -> set[str]:
    wanted = ReportFilter(owner=owner, page_id=PAGE)
    found = {row.message_id for row in delivery_reports.list_messages(sql, wanted, before=None, limit=9)}
    assert delivery_reports.counts_by_attempt(sql, wanted)[1].total == len(found)
    assert delivery_reports.most_common_errors(sql, wanted) == []  # an echo overrides a failure
    return found


def receipts_until(sql: Sql, owner: str) -> set[str]:
    found = receipts.sent_until(sql, PageRecipient(owner, PAGE, "ann"), micros(after(60)))
    return {one.location.message_id for one in found}


def receipts_by_id(sql: Sql, owner: str) -> set[str]:
    names = [DeliveryReference(PAGE, "ann", message_id, 1, 0) for message_id in OWNERS]
    return {place.message_id for place in receipts.locate(sql, owner, names) if place}


def receipts_of_platform_ids(sql: Sql, owner: str) -> set[str]:
    found = [
        receipts.find_by_provider_id(sql, PageRecipient(owner, PAGE, "ann"), f"mid-{message_id}")
        for message_id in OWNERS
    ]
    return {place.message_id for place in found if place}


@pytest.mark.parametrize(("owner", "found"), [("crm", {"m-crm"}), (ANY_OWNER, set(OWNERS))])
async def test_queries_are_limited_to_one_owner_or_cover_all(owner: str, found: set[str], kept: Kept) -> None:
    for query in (listed, reported, receipts_until, receipts_by_id, receipts_of_platform_ids):
        assert await kept.log.read(partial(query, owner=owner)) == found, query.__name__
    shops = await kept.log.read(lambda sql: message_rows.owned_among(sql, "shop", [*OWNERS, "m-none"]))
    assert shops == {"m-shop"}
