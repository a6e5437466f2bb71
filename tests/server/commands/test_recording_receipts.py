"""Receipts are recorded once on either database, also by concurrent processes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from domain.commands import RecordReceipts, ReportedReceipt
from domain.errors import Aborted
from domain.event import Event
from domain.receipts import ReceiptKind, ReceiptsRecorded
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
from tests.server.commands.command_harness import ALL, CommandHarness

LONG_AFTER = after(10_000)
MANY = 250


@pytest.fixture
def store(database_url: str) -> Store:
    return opened(database_url)


@pytest.fixture
async def harness(store: Store) -> AsyncIterator[CommandHarness]:
    async with EventStore(store) as log:
        harness = CommandHarness(log)
        await harness.register_page()
        yield harness


def service(harness: CommandHarness) -> ReceiptService:
    """Return the receipt service of another process."""
    return ReceiptService(harness.log, harness.vault.ids, lambda: LONG_AFTER)


def command(*receipts: ReportedReceipt) -> RecordReceipts:
    return RecordReceipts(owner=OWNER, receipts=receipts)


def reported(kind: ReceiptKind, who: int, **fields: Any) -> ReportedReceipt:
    defaults = {"page_id": PAGE, "recipient_id": f"u{who:05}", "time": after(who)}
    return ReportedReceipt(**{**defaults, **fields, "kind": kind})


def echoes(message_id: str, people: Sequence[int]) -> list[ReportedReceipt]:
    return [
        reported(
            ReceiptKind.ECHO,
            who,
            delivery_id=IDS.delivery(message_id, 1 + who // 100, who % 100),
            provider_message_id=f"m_{who}",
        )
        for who in people
    ]


async def unconfirmed(harness: CommandHarness) -> str:
    """Create a message to many recipients whose deliveries are unconfirmed; return its id."""
    return await harness.sent({who.id: UNCONFIRMED for who in crowd(MANY)})


async def rows(harness: CommandHarness, message_id: str) -> Sequence[DeliveryRow]:
    wanted = DeliveryFilter(message_id=message_id)
    return await harness.log.read(lambda sql: delivery_rows.list_attempts(sql, wanted, after=(0, -1), limit=ALL))


async def recorded(harness: CommandHarness, message_id: str, batch: int) -> Sequence[Event]:
    return await harness.log.load(receipts_stream(message_id, 0, batch))


async def test_receipts_of_many_batches_are_recorded_together(harness: CommandHarness, store: Store) -> None:
    message_id = await unconfirmed(harness)
    positions = range(MANY)
    came = [reported(ReceiptKind.DELIVERED, who, provider_message_id=f"m_{who}", time=after(500)) for who in positions]
    seen = [reported(ReceiptKind.READ, who, watermark=after(900), time=after(1_000)) for who in positions if who % 2]

    counts = await service(harness).record(command(*echoes(message_id, positions), *came, *seen))

    assert counts == ReceiptCounts(recorded=MANY * 2 + MANY // 2, already_known=0, unmatched=0)
    assert await harness.counts(message_id) == {"SENT": MANY}
    found = await rows(harness, message_id)
    assert [row.provider_message_id for row in found] == [f"m_{who}" for who in positions]
    assert [row.sent_time for row in found] == [micros(after(who)) for who in positions]
    assert {row.delivered_time for row in found} == {micros(after(500))}
    assert [row.read_time is not None for row in found] == [bool(who % 2) for who in positions]
    assert [len(await recorded(harness, message_id, batch)) for batch in (1, 2, 3)] == [2, 2, 2]
    assert await asyncio.to_thread(differences, store) == {}


async def test_concurrent_processes_record_each_receipt_once(harness: CommandHarness, store: Store) -> None:
    message_id = await unconfirmed(harness)
    services = [service(harness) for _ in range(4)]
    halves = [echoes(message_id, range(150)), echoes(message_id, range(100, MANY))]

    counts = await asyncio.gather(*(one.record(command(*half)) for one in services for half in halves))

    assert sum(one.recorded for one in counts) == MANY
    assert sum(one.already_known for one in counts) == 8 * 150 - MANY
    assert await harness.counts(message_id) == {"SENT": MANY}
    told_of = [
        receipt.position + 100 * batch
        for batch in range(3)
        for event in await recorded(harness, message_id, batch + 1)
        if isinstance(event, ReceiptsRecorded)
        for receipt in event.receipts
    ]
    assert sorted(told_of) == list(range(MANY))
    assert await asyncio.to_thread(differences, store) == {}


async def test_one_service_appends_to_a_stream_sequentially(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of one service do not conflict with each other (protocol rule 16)."""
    message_id = await unconfirmed(harness)
    results: list[CommitResult] = []
    commit = harness.log.commit

    async def watched(wanted: Commit) -> CommitResult:
        results.append(await commit(wanted))
        return results[-1]

    monkeypatch.setattr(harness.log, "commit", watched)
    one = service(harness)

    await asyncio.gather(*(one.record(command(echo)) for echo in echoes(message_id, range(40))))

    assert len(results) == 40
    assert not any(isinstance(result, Conflict) for result in results)


async def test_recording_is_aborted_after_repeated_conflicts(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = await unconfirmed(harness)

    async def conflicting(wanted: Commit) -> CommitResult:
        return Conflict(wanted.appends[0].stream)

    monkeypatch.setattr(harness.log, "commit", conflicting)

    with pytest.raises(Aborted):
        await service(harness).record(command(*echoes(message_id, [0])))


async def test_a_caller_cannot_record_receipts_of_another_owners_deliveries(harness: CommandHarness) -> None:
    """This holds even if the caller knows the page, the recipient and the platform's id."""
    await harness.share_page("another-owner")
    message_id = await harness.send(crowd(1), owner="another-owner")
    one = service(harness)
    theirs = RecordReceipts(owner="another-owner", receipts=tuple(echoes(message_id, [0])))
    assert await one.record(theirs) == ReceiptCounts(1, 0, 0)

    others = [
        reported(ReceiptKind.DELIVERED, 0, provider_message_id="m_0"),
        reported(ReceiptKind.READ, 0, watermark=after(99)),
    ]
    assert await one.record(command(*echoes(message_id, [0]), *others)) == ReceiptCounts(0, 0, 3)
    assert await one.record(RecordReceipts(owner="another-owner", receipts=tuple(others))) == (2, 0, 0)


async def test_receipts_of_an_open_stream_are_ignored(harness: CommandHarness) -> None:
    stream = await harness.streams.open(send_message())
    await stream.add(crowd(1_200))
    (staged,) = await harness.log.read(lambda sql: sql.rows("SELECT message_id FROM messages WHERE is_visible = 0"))

    assert await service(harness).record(command(*echoes(staged["message_id"], [0]))) == ReceiptCounts(0, 0, 1)


async def test_a_watermark_marks_at_most_the_last_hundred_messages_to_a_recipient(
    harness: CommandHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.receipts.MAX_COVERED", 3)
    messages = [await harness.sent({"u00000": UNCONFIRMED}) for _ in range(5)]
    one = service(harness)
    for second, message_id in enumerate(messages):
        (echo,) = echoes(message_id, [0])
        await one.record(command(_at(echo, after(second))))

    assert await one.record(command(reported(ReceiptKind.READ, 0, watermark=after(99)))) == ReceiptCounts(1, 0, 0)

    was_read = [(await rows(harness, message_id))[0].read_time is not None for message_id in messages]
    assert was_read == [False, False, True, True, True]


def _at(echo: ReportedReceipt, time: datetime) -> ReportedReceipt:
    return ReportedReceipt(
        kind=echo.kind,
        page_id=echo.page_id,
        recipient_id=echo.recipient_id,
        delivery_id=echo.delivery_id,
        provider_message_id=echo.provider_message_id,
        time=time,
    )
