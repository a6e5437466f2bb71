"""Receipts are recorded once, on either database, whoever else records at the same time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from domain.commands import RecordReceipts, ToldReceipt
from domain.errors import Aborted
from domain.event import Event
from domain.receipt_events import ReceiptKind, ReceiptsRecorded
from domain.streams import receipts_stream
from projections import delivery_rows
from projections.delivery_rows import DeliveryFilter, DeliveryRow
from projections.sql import micros
from server.commands.receipts import ReceiptCounts, ReceiptService
from server.eventstore.commit import Commit, CommitResult, Conflict
from server.eventstore.event_store import EventStore
from server.eventstore.rebuild import differences
from server.eventstore.store import Store
from tests.builders import OWNER, PAGE, UNCONFIRMED, after, crowd, send_message
from tests.databases import opened
from tests.keyed_ids import IDS
from tests.server.commands.desk import EVERY, Desk

LONG_AFTER = after(10_000)
MANY = 250


@pytest.fixture
def store(database_url: str) -> Store:
    return opened(database_url)


@pytest.fixture
async def desk(store: Store) -> AsyncIterator[Desk]:
    async with EventStore(store) as log:
        desk = Desk(log)
        await desk.register_page()
        yield desk


def service(desk: Desk) -> ReceiptService:
    """Another process's."""
    return ReceiptService(desk.log, desk.vault.ids, lambda: LONG_AFTER)


def command(*receipts: ToldReceipt) -> RecordReceipts:
    return RecordReceipts(owner=OWNER, receipts=receipts)


def told(kind: ReceiptKind, who: int, **fields: Any) -> ToldReceipt:
    defaults = {"page_id": PAGE, "recipient_id": f"u{who:05}", "time": after(who)}
    return ToldReceipt(**{**defaults, **fields, "kind": kind})


def echoes(message_id: str, people: Sequence[int]) -> list[ToldReceipt]:
    return [
        told(
            ReceiptKind.ECHO,
            who,
            delivery_id=IDS.delivery(message_id, 1 + who // 100, who % 100),
            provider_message_id=f"m_{who}",
        )
        for who in people
    ]


async def unconfirmed(desk: Desk) -> str:
    """A message that may have reached many people."""
    return await desk.sent({who.id: UNCONFIRMED for who in crowd(MANY)})


async def rows(desk: Desk, message_id: str) -> Sequence[DeliveryRow]:
    wanted = DeliveryFilter(message_id=message_id)
    return await desk.log.read(lambda sql: delivery_rows.attempts(sql, wanted, after=(0, -1), limit=EVERY))


async def recorded(desk: Desk, message_id: str, batch: int) -> Sequence[Event]:
    return await desk.log.load(receipts_stream(message_id, 0, batch))


async def test_receipts_of_many_batches_are_recorded_together(desk: Desk, store: Store) -> None:
    message_id = await unconfirmed(desk)
    everybody = range(MANY)
    came = [told(ReceiptKind.DELIVERED, who, provider_message_id=f"m_{who}", time=after(500)) for who in everybody]
    seen = [told(ReceiptKind.READ, who, watermark=after(900), time=after(1_000)) for who in everybody if who % 2]

    counts = await service(desk).record(command(*echoes(message_id, everybody), *came, *seen))

    assert counts == ReceiptCounts(recorded=MANY * 2 + MANY // 2, already_known=0, unmatched=0)
    assert await desk.counts(message_id) == {"SENT": MANY}
    found = await rows(desk, message_id)
    assert [row.provider_message_id for row in found] == [f"m_{who}" for who in everybody]
    assert [row.sent_time for row in found] == [micros(after(who)) for who in everybody]
    assert {row.delivered_time for row in found} == {micros(after(500))}
    assert [row.read_time is not None for row in found] == [bool(who % 2) for who in everybody]
    assert [len(await recorded(desk, message_id, batch)) for batch in (1, 2, 3)] == [2, 2, 2]
    assert await asyncio.to_thread(differences, store) == {}


async def test_processes_that_record_at_once_record_everything_once(desk: Desk, store: Store) -> None:
    message_id = await unconfirmed(desk)
    services = [service(desk) for _ in range(4)]
    halves = [echoes(message_id, range(150)), echoes(message_id, range(100, MANY))]

    counts = await asyncio.gather(*(one.record(command(*half)) for one in services for half in halves))

    assert sum(one.recorded for one in counts) == MANY
    assert sum(one.already_known for one in counts) == 8 * 150 - MANY
    assert await desk.counts(message_id) == {"SENT": MANY}
    told_of = [
        receipt.position + 100 * batch
        for batch in range(3)
        for event in await recorded(desk, message_id, batch + 1)
        if isinstance(event, ReceiptsRecorded)
        for receipt in event.receipts
    ]
    assert sorted(told_of) == list(range(MANY))
    assert await asyncio.to_thread(differences, store) == {}


async def test_one_service_appends_to_a_stream_one_after_another(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocol rule 16: its own calls do not conflict with each other."""
    message_id = await unconfirmed(desk)
    results: list[CommitResult] = []
    commit = desk.log.commit

    async def watched(wanted: Commit) -> CommitResult:
        results.append(await commit(wanted))
        return results[-1]

    monkeypatch.setattr(desk.log, "commit", watched)
    one = service(desk)

    await asyncio.gather(*(one.record(command(echo)) for echo in echoes(message_id, range(40))))

    assert len(results) == 40
    assert not any(isinstance(result, Conflict) for result in results)


async def test_a_stream_that_never_stands_still_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = await unconfirmed(desk)

    async def conflicting(wanted: Commit) -> CommitResult:
        return Conflict(wanted.appends[0].stream)

    monkeypatch.setattr(desk.log, "commit", conflicting)

    with pytest.raises(Aborted):
        await service(desk).record(command(*echoes(message_id, [0])))


async def test_nobody_marks_what_somebody_else_has_sent(desk: Desk) -> None:
    """Not even one who knows the page, the person and the platform's id."""
    await desk.share_page("another-owner")
    message_id = await desk.send(crowd(1), owner="another-owner")
    one = service(desk)
    theirs = RecordReceipts(owner="another-owner", receipts=tuple(echoes(message_id, [0])))
    assert await one.record(theirs) == ReceiptCounts(1, 0, 0)

    told_of_it = [
        told(ReceiptKind.DELIVERED, 0, provider_message_id="m_0"),
        told(ReceiptKind.READ, 0, watermark=after(99)),
    ]
    assert await one.record(command(*echoes(message_id, [0]), *told_of_it)) == ReceiptCounts(0, 0, 3)
    assert await one.record(RecordReceipts(owner="another-owner", receipts=tuple(told_of_it))) == (2, 0, 0)


async def test_of_a_stream_that_is_still_coming_in_nothing_was_sent(desk: Desk) -> None:
    stream = await desk.streams.open(send_message())
    await stream.add(crowd(1_200))
    (staged,) = await desk.log.read(lambda sql: sql.rows("SELECT message_id FROM messages WHERE is_visible = 0"))

    assert await service(desk).record(command(*echoes(staged["message_id"], [0]))) == ReceiptCounts(0, 0, 1)


async def test_of_very_many_messages_to_a_person_a_watermark_marks_the_last_hundred(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.receipts.MOST_AT_ONCE", 3)
    messages = [await desk.sent({"u00000": UNCONFIRMED}) for _ in range(5)]
    one = service(desk)
    for second, message_id in enumerate(messages):
        (echo,) = echoes(message_id, [0])
        await one.record(command(_at(echo, after(second))))

    assert await one.record(command(told(ReceiptKind.READ, 0, watermark=after(99)))) == ReceiptCounts(1, 0, 0)

    was_read = [(await rows(desk, message_id))[0].read_time is not None for message_id in messages]
    assert was_read == [False, False, True, True, True]


def _at(echo: ToldReceipt, time: datetime) -> ToldReceipt:
    return ToldReceipt(
        kind=echo.kind,
        page_id=echo.page_id,
        recipient_id=echo.recipient_id,
        delivery_id=echo.delivery_id,
        provider_message_id=echo.provider_message_id,
        time=time,
    )
