"""Requests and output of `redrive report`, `export` and `events`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.delivery_service_pb2 import ListEventsRequest, ListEventsResponse, LogEvent
from redrive.v1.error_pb2 import DeliveryError, ErrorType
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    ExportDeliveriesRequest,
    ExportDeliveriesResponse,
    ExportFormat,
    ExportRows,
    FirstAttempts,
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
    HourReport,
    MessageReport,
)

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

FIRST = FirstAttempts(attempted=1_000, sent=940, success_rate=0.94)
REPORT = GetDeliveryReportResponse(
    first_attempts=FIRST,
    messages=[MessageReport(message_id="m1", title="News", first_attempts=FIRST)],
    errors=[
        CommonError(
            error=DeliveryError(
                code=613, subcode=1996, message="Slow\x1b[31m down", type=ErrorType.ERROR_TYPE_RATE_LIMIT
            ),
            count=45,
            percentage=75.0,
        )
    ],
    attempts=[
        AttemptReport(attempt_number=1, made=1_000, sent=940, failed=55, unconfirmed=5),
        AttemptReport(attempt_number=2, made=30, sent=30),
    ],
    hours=[HourReport(start_time=Timestamp(seconds=1_700_000_000), sent=970, failed=55, unconfirmed=5)],
)


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


async def test_a_report_is_shown(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("GetDeliveryReport", REPORT)

    result = await redrive("report", "m1")

    assert result.exit_code == 0, result.output
    lines = lines_of(result.stdout)
    assert "sent at the first attempt 940 of 1,000 (94.0 %)" in lines
    assert "│ 1 │ 1,000 │ 940 │ 55 │ 5 │" in lines
    assert "│ RATE_LIMIT │ 613/1996 │ Slow [31m down │ 45 │ 75.0 % │" in lines
    assert any(line.startswith("│ 2023-11-1") and line.endswith("│ 970 │ 55 │ 5 │") for line in lines)
    assert any(line.startswith("│ m1 │ News │") for line in lines)
    assert "older release" not in result.stdout
    assert server.asked("GetDeliveryReport") == [GetDeliveryReportRequest(message_id="m1", page_size=1_000)]


async def test_report_is_requested_for_a_page_and_a_time_range(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("GetDeliveryReport", GetDeliveryReportResponse(counted_from_time=Timestamp(seconds=1_700_000_000)))

    result = await redrive(
        "report", "--page", "1001", "--from", "2026-03-01T10:00:00+00:00", "--until", "2026-03-01T12:00:00+00:00"
    )

    [asked] = server.asked("GetDeliveryReport")
    assert (asked.page_id, asked.WhichOneof("subject")) == ("1001", "page_id")
    assert asked.start_time.ToDatetime(tzinfo=UTC) == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert asked.end_time.ToDatetime(tzinfo=UTC) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert "no attempt yet" in result.stdout
    assert "by an older release may be missing" in result.stdout


@pytest.mark.parametrize("command", ["report", "export"])
@pytest.mark.parametrize("subject", [(), ("m1", "--page", "1001")])
async def test_message_or_page_is_required(redrive: "Redrive", command: str, subject: tuple[str, ...]) -> None:
    result = await redrive(command, *subject)

    assert result.exit_code == 2
    assert "Give either a message id, or a page with --page." in result.output


async def test_table_shows_only_the_last_hours(server: "ScriptedServer", redrive: "Redrive") -> None:
    hours = [HourReport(start_time=Timestamp(seconds=3_600 * number), sent=10_000 + number) for number in range(1, 61)]
    server.answer("GetDeliveryReport", GetDeliveryReportResponse(hours=hours))

    result = await redrive("report", "m1")

    assert "10,060" in result.stdout
    assert "10,013" in result.stdout
    assert "10,012" not in result.stdout
    assert "The last 48 of 60 hours; -o json has all." in result.stdout
    assert len(json.loads((await redrive("report", "m1", "-o", "json")).stdout)["hours"]) == 60


FILE = [ExportDeliveriesResponse(data=part) for part in (b"message_id,name\r\nm1,J\xc3", b"\xbcrgen\r\n")]
WHOLE = b"message_id,name\r\nm1,J\xc3\xbcrgen\r\n"


async def test_an_export_goes_to_standard_output(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(*FILE)

    result = await redrive("export", "m1")

    assert result.exit_code == 0, result.output
    assert result.stdout_bytes == WHOLE
    assert server.asked("ExportDeliveries") == [
        ExportDeliveriesRequest(
            message_id="m1", rows=ExportRows.EXPORT_ROWS_ATTEMPTS, format=ExportFormat.EXPORT_FORMAT_CSV
        )
    ]


async def test_export_is_filtered_and_written_to_a_file(
    server: "ScriptedServer", redrive: "Redrive", tmp_path: Path
) -> None:
    server.stream(*FILE)
    file = tmp_path / "invalid.csv"

    result = await redrive(
        *("export", "--page", "1001", "--recipient", "17", "--status", "failed", "--error-type", "invalid-recipient"),
        *("--per-recipient", "--format", "jsonl", "--file", str(file)),
    )

    assert result.exit_code == 0, result.output
    assert file.read_bytes() == WHOLE
    assert list(tmp_path.iterdir()) == [file]
    assert server.asked("ExportDeliveries") == [
        ExportDeliveriesRequest(
            page_id="1001",
            recipient_id="17",
            statuses=[DeliveryStatus.DELIVERY_STATUS_FAILED],
            error_types=[ErrorType.ERROR_TYPE_INVALID_RECIPIENT],
            rows=ExportRows.EXPORT_ROWS_RECIPIENTS,
            format=ExportFormat.EXPORT_FORMAT_JSON_LINES,
        )
    ]


async def test_export_is_json_lines_with_json_output(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.stream(*FILE)

    await redrive("export", "m1", "-o", "json")

    assert server.asked("ExportDeliveries")[0].format == ExportFormat.EXPORT_FORMAT_JSON_LINES


async def test_interrupted_export_keeps_the_existing_file(
    server: "ScriptedServer", redrive: "Redrive", tmp_path: Path
) -> None:
    file = tmp_path / "file.csv"
    file.write_text("of yesterday")
    server.stream(FILE[0], server.refusal(grpc.StatusCode.UNAVAILABLE))

    result = await redrive("export", "m1", "--file", str(file))

    assert result.exit_code == 5
    assert file.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [file]


async def test_unwritable_file_is_wrong_input(server: "ScriptedServer", redrive: "Redrive", tmp_path: Path) -> None:
    server.stream(*FILE)

    result = await redrive("export", "m1", "--file", str(tmp_path / "nowhere" / "file.csv"))

    assert result.exit_code == 2
    assert "No such file or directory" in result.output


LOG = ListEventsResponse(
    events=[
        LogEvent(position=4, version=1, name="MessageSubmitted", summary="Accepted", details='{"total":3}'),
        LogEvent(position=1_005, batch_number=1, version=2, name="BatchStarted", summary="Claimed by w\x1b[31m"),
    ]
)


async def test_the_log_of_a_message_is_shown(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListEvents", LOG)

    result = await redrive("events", "m1", "--batch", "1")

    assert result.exit_code == 0, result.output
    lines = lines_of(result.stdout)
    assert "│ 4 │ │ │ 1 │ MessageSubmitted │ Accepted │" in lines
    assert "│ 1,005 │ │ 1 │ 2 │ BatchStarted │ Claimed by w [31m │" in lines
    assert server.asked("ListEvents") == [ListEventsRequest(message_id="m1", batch_number=1, page_size=1_000)]


async def test_the_log_is_shown_without_batches(server: "ScriptedServer", redrive: "Redrive") -> None:
    held = LogEvent(position=7, version=2, name="PageHeld", summary="The page was put on hold: expired")
    server.answer("ListEvents", ListEventsResponse(events=[held]))

    result = await redrive("events", "m1", "--without-batches")

    assert "│ 7 │ │ │ 2 │ PageHeld │ The page was put on hold: expired │" in lines_of(result.stdout)
    assert server.asked("ListEvents") == [ListEventsRequest(message_id="m1", without_batches=True, page_size=1_000)]


async def test_the_details_of_the_log_are_in_json(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListEvents", LOG)

    document = json.loads((await redrive("events", "m1", "-o", "json")).stdout)

    assert json.loads(document["events"][0]["details"]) == {"total": 3}
