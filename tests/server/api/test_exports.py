"""ExportDeliveries."""

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest

from domain.outcome import Failed, Outcome
from domain.streams import page_stream
from redrive.recipients_csv import RecipientsCsv
from redrive.recipients_csv.formula_guard import unguarded
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.delivery_service_pb2 import ResendRequest
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportFormat, ExportRows
from server.api.servicers import reports
from server.queries import export
from tests.builders import FAILED, FAILED_FOR_GOOD, PAGE, SENT, UNCONFIRMED, fault, page_registered
from tests.keyed_ids import IDS
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request

JSON_LINES, PER_RECIPIENT = ExportFormat.EXPORT_FORMAT_JSON_LINES, ExportRows.EXPORT_ROWS_RECIPIENTS


async def sent(edge: Edge, outcomes: Mapping[str, Outcome], **fields: Any) -> str:
    message_id = (await edge.delivery.Send(send_request(*outcomes, **fields))).message.id
    await edge.deliver(message_id, outcomes)
    return message_id


async def parts(edge: Edge, **fields: Any) -> list[bytes]:
    call = edge.reports.ExportDeliveries(ExportDeliveriesRequest(**fields))
    return [answer.data async for answer in call]


async def as_csv(edge: Edge, **fields: Any) -> list[dict[str, str]]:
    text = b"".join(await parts(edge, **fields)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def as_json(edge: Edge, **fields: Any) -> list[dict[str, Any]]:
    text = b"".join(await parts(edge, format=JSON_LINES, **fields))
    return [json.loads(line) for line in text.splitlines()]


async def test_every_attempt_of_a_message_is_a_row(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": SENT, "bob": FAILED_FOR_GOOD})

    ann, bob = await as_csv(edge, message_id=message_id)

    assert ann == {
        "message_id": message_id,
        "recipient_id": "ann",
        "recipient_name": "Ann",
        "status": "SENT",
        "attempt_number": "1",
        "error_type": "",
        "error_code": "",
        "error_subcode": "",
        "error_message": "",
        "update_time": "2026-03-01T12:00:00Z",
        "delivery_id": IDS.delivery(message_id, 1, 0),
        "batch_number": "1",
        "provider_message_id": "mid.1",
        "create_time": ann["create_time"],
        "sent_time": "2026-03-01T12:00:00Z",
        "failed_time": "",
    }
    assert (bob["status"], bob["error_type"], bob["error_code"]) == ("FAILED", "INVALID_RECIPIENT", "100")
    assert (bob["error_subcode"], bob["error_message"]) == ("2018001", "no luck")
    assert (bob["provider_message_id"], bob["failed_time"]) == ("", "2026-03-01T12:00:00Z")


async def test_json_lines_have_the_same_rows_with_numbers_and_nulls(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": SENT, "bob": FAILED_FOR_GOOD})

    ann, bob = await as_json(edge, message_id=message_id)

    assert list(ann) == list((await as_csv(edge, message_id=message_id))[0])
    assert (ann["error_code"], ann["sent_time"], ann["attempt_number"]) == (None, "2026-03-01T12:00:00Z", 1)
    assert (bob["error_code"], bob["provider_message_id"], bob["sent_time"]) == (100, None, None)


async def test_invalid_recipients_can_be_exported(edge: Edge) -> None:
    """Each recipient appears once, and only if no attempt reached it."""
    message_id = await sent(
        edge, {"ann": FAILED_FOR_GOOD, "bob": FAILED, "cid": UNCONFIRMED, "dan": SENT, "eve": FAILED_FOR_GOOD}
    )
    await edge.delivery.Resend(ResendRequest(message_id=message_id, recipient_ids=["ann", "eve"]))
    await edge.deliver(message_id, {"ann": FAILED_FOR_GOOD, "eve": SENT}, batch_number=2)

    wanted = {"message_id": message_id, "error_types": [ErrorType.ERROR_TYPE_INVALID_RECIPIENT]}
    [ann] = await as_csv(edge, rows=PER_RECIPIENT, **wanted)
    attempts = await as_csv(edge, **wanted)

    assert (ann["recipient_id"], ann["status"], ann["attempt_number"]) == ("ann", "FAILED", "2")
    assert "delivery_id" not in ann
    assert [row["recipient_id"] for row in attempts] == ["ann", "eve", "ann"]


@pytest.mark.parametrize("rows", [ExportRows.EXPORT_ROWS_ATTEMPTS, PER_RECIPIENT])
async def test_an_export_can_be_filtered(edge: Edge, rows: ExportRows.ValueType) -> None:
    message_id = await sent(edge, {"ann": FAILED, "bob": SENT, "cid": UNCONFIRMED})

    async def found(**wanted: Any) -> list[str]:
        return [row["recipient_id"] for row in await as_csv(edge, message_id=message_id, rows=rows, **wanted)]

    assert await found() == ["ann", "bob", "cid"]
    assert await found(statuses=[DeliveryStatus.DELIVERY_STATUS_SENT]) == ["bob"]
    assert await found(statuses=[DeliveryStatus.DELIVERY_STATUS_UNCONFIRMED, DeliveryStatus.DELIVERY_STATUS_SENT]) == [
        "bob",
        "cid",
    ]
    assert await found(statuses=[DeliveryStatus.DELIVERY_STATUS_UNCONFIRMED]) == ["cid"]
    assert await found(recipient_id="cid") == ["cid"]
    assert await found(recipient_id="unknown") == []
    assert await found(error_types=[ErrorType.ERROR_TYPE_NETWORK]) == ["ann", "cid"]


@pytest.mark.parametrize("rows", [ExportRows.EXPORT_ROWS_ATTEMPTS, PER_RECIPIENT])
async def test_a_page_is_exported_by_message_newest_first(
    edge: Edge, rows: ExportRows.ValueType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any size of the reads, no row is missing or repeated."""
    await edge.commit(page_stream("2002"), 0, page_registered("2002"))
    messages = [await sent(edge, dict.fromkeys(people, SENT)) for people in ("ab", "cdefg", "h", "ijk")]
    await sent(edge, {"x": SENT}, page_id="2002")
    await edge.submit_as("another owner", "m-theirs")
    expected = [
        (message, who) for message, people in zip(messages, ("ab", "cdefg", "h", "ijk"), strict=True) for who in people
    ]
    expected.sort(key=lambda row: (-messages.index(row[0]), row[1]))

    for rows_at_once, messages_at_once, recipients_at_once in ((1_000, 100, 10_000), (2, 1, 1), (3, 2, 6), (1, 3, 3)):
        monkeypatch.setattr(export, "ROWS_AT_ONCE", rows_at_once)
        monkeypatch.setattr(export, "_MESSAGES_AT_ONCE", messages_at_once)
        monkeypatch.setattr(export, "_RECIPIENTS_AT_ONCE", recipients_at_once)
        found = await as_csv(edge, page_id=PAGE, rows=rows)
        assert [(row["message_id"], row["recipient_id"]) for row in found] == expected


FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", " =1", ";=1+1", "; =1", ",=1", "|=1", "';=1", '"=1', "'=1"),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\ufe661", "\u22121", "\u3000=1", "\u00a0=1", "\u2800=1"),
]


async def in_both(edge: Edge, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return texts of errors as they appear in a CSV file, without quotation marks, and in JSON."""
    outcomes = {f"u{place}": Failed(fault(message=text)) for place, text in enumerate(texts)}
    message_id = await sent(edge, outcomes)
    in_csv = [row["error_message"] for row in await as_csv(edge, message_id=message_id)]
    return in_csv, [row["error_message"] for row in await as_json(edge, message_id=message_id)]


async def test_no_text_is_interpreted_as_a_formula(edge: Edge) -> None:
    """No text is lost: JSON has it unchanged."""
    in_csv, in_json = await in_both(edge, FORMULAS)

    assert [text[0] for text in in_csv] == ["'"] * len(FORMULAS)
    assert [unguarded(text) for text in in_csv] == FORMULAS
    assert in_json == FORMULAS


async def test_no_cell_starts_with_a_formula_with_any_delimiter(edge: Edge) -> None:
    texts = ["a;=1+1", "a; =1", "a\n=1", "a|\u200b=1", "a\t@b", 'a";=1;"', "a,\uff1d1", "=1;=2"]

    in_csv, _ = await in_both(edge, texts)

    for text in in_csv:
        cells = re.split(r"[;,|\t\n]", text)
        assert not any(re.match('[\\s"\u200b]*[=@\uff1d]', cell) for cell in cells), text


async def test_harmless_texts_are_unchanged_in_csv(edge: Edge) -> None:
    texts = ['a "quoted", text\nof two lines', "harmless = 1", "it's a 24-hour window", "(#100) no - not now", "1; 2"]

    assert await in_both(edge, texts) == (texts, texts)


async def test_every_text_of_a_csv_file_is_quoted(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": FAILED_FOR_GOOD})

    _, row, _ = b"".join(await parts(edge, message_id=message_id)).split(b"\r\n")

    assert row.startswith(f'"{message_id}","ann","Ann","FAILED",1,"INVALID_RECIPIENT",100,2018001,"no luck",'.encode())


async def test_terminal_control_characters_are_not_exported(edge: Edge) -> None:
    """Rows recorded by earlier releases may contain such characters."""
    texts = ["\x1b[31mred", "a\x9b2Jb", "abc\u202ecba", "a\u2066b\u2069", "a\x07\x7fb", "a\u2028b\rc", "a\ufeffb"]

    in_csv, in_json = await in_both(edge, texts)
    message_id = await sent(edge, {"ann": Failed(fault(message="".join(texts)))})
    raw = b"".join(await parts(edge, message_id=message_id, format=JSON_LINES)).decode()

    assert in_csv == ["[31mred", "a2Jb", "abccba", "ab", "ab", "a\nb\nc", "ab"]
    assert in_json == texts
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\u2069\ufeff]", raw) is None


async def test_an_exported_list_can_be_sent_to_again(edge: Edge, tmp_path: Path) -> None:
    """The guard against formulas is not part of an id."""
    ids = ["-abc", "+ann", "@bob", "plain", "1002003004005006", "-a_b-c"]
    message_id = await sent(edge, dict.fromkeys(ids, FAILED))
    file = tmp_path / "failed.csv"

    for rows in (ExportRows.EXPORT_ROWS_ATTEMPTS, PER_RECIPIENT):
        file.write_bytes(b"".join(await parts(edge, message_id=message_id, rows=rows)))
        assert sorted(recipient.id for recipient in RecipientsCsv(file)) == sorted(ids)


async def test_a_negative_number_stays_a_number(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": Failed(fault(code=-1))})

    [ann] = await as_csv(edge, message_id=message_id)

    assert ann["error_code"] == "-1"


async def test_without_rows_a_csv_has_a_header_line(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": SENT})
    unknown = {"message_id": message_id, "recipient_id": "unknown"}

    [line] = await parts(edge, **unknown)

    assert line.startswith(b"message_id,recipient_id,")
    assert line.endswith(b"failed_time\r\n")
    assert await parts(edge, format=JSON_LINES, **unknown) == []


async def test_a_large_file_is_streamed_in_small_parts(edge: Edge) -> None:
    people = [f"u{number:04}" for number in range(1_500)]
    message_id = (await edge.delivery.Send(send_request(*people))).message.id

    file = await parts(edge, message_id=message_id)
    rows = await as_csv(edge, message_id=message_id)

    assert len(file) > 2
    assert max(map(len, file)) <= 64 * 1024
    assert [row["recipient_id"] for row in rows] == people
    assert {row["status"] for row in rows} == {"PENDING"}


async def test_a_cancelled_call_ends_the_reads(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [f"u{number:04}" for number in range(5_000)]
    message_id = (await edge.delivery.Send(send_request(*people))).message.id
    written = 0
    is_over = asyncio.Event()

    async def watched(*wanted: Any) -> AsyncGenerator[bytes, None]:
        nonlocal written
        try:
            async with aclosing(export.export(*wanted)) as file:
                async for part in file:
                    yield part
                    written += 1
        finally:
            is_over.set()

    monkeypatch.setattr(export, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(reports, "export", watched)
    call = edge.reports.ExportDeliveries(ExportDeliveriesRequest(message_id=message_id))
    for _ in range(10):
        await call.read()
    call.cancel()

    async with asyncio.timeout(10):
        await is_over.wait()
    assert 9 <= written < len(people)


async def test_unknown_messages_and_pages_cannot_be_exported(edge: Edge) -> None:
    await edge.submit_as("another owner", "m-theirs")

    for wanted, code in (
        ({"message_id": "m-unknown"}, grpc.StatusCode.NOT_FOUND),
        ({"message_id": "m-theirs"}, grpc.StatusCode.NOT_FOUND),
        ({"page_id": "nowhere"}, grpc.StatusCode.FAILED_PRECONDITION),
        ({}, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        assert (await refusal_of(parts(edge, **wanted))).code is code
