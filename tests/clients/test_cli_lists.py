"""Requests and output of the commands that list."""

import json
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.cli.output import format_time
from redrive.v1.batch_pb2 import Batch, BatchStatus
from redrive.v1.delivery_pb2 import Delivery, DeliveryStatus, FailedRecipient
from redrive.v1.delivery_service_pb2 import (
    CancelMessageResponse,
    FailureStats,
    GetMessageResponse,
    ListBatchesResponse,
    ListDeliveriesRequest,
    ListDeliveriesResponse,
    ListFailedRequest,
    ListFailedResponse,
    ListMessagesRequest,
    ListMessagesResponse,
)
from redrive.v1.error_pb2 import DeliveryError, ErrorType, ErrorTypeCount
from redrive.v1.message_pb2 import Counts, Message, MessageStatus

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

NEWS = Message(
    id="m1",
    title="News [bold]x",
    page_id="1",
    status=MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT,
    counts=Counts(total=1_200, sent=1_197, failed=2, unconfirmed=1),
    create_time=Timestamp(seconds=1_700_000_000),
)
FAILED = ListFailedResponse(
    message_id="m1",
    failed_recipients=[
        FailedRecipient(
            recipient_id="17",
            recipient_name="Ada\x1b[31m",
            last_error_code=613,
            last_error_subcode=1996,
            last_error_message="Calls to this api have exceeded the rate limit.",
            last_error_type=ErrorType.ERROR_TYPE_RATE_LIMIT,
            attempt_count=2,
            retryable=True,
        )
    ],
    retryable_count=2,
    error_type_counts=[ErrorTypeCount(error_type=ErrorType.ERROR_TYPE_RATE_LIMIT, count=3)],
    stats=FailureStats(sent=1_197, failed=2, total=1_200, unconfirmed=1),
    max_retry_attempts=3,
)


def page_of_messages(request: ListMessagesRequest) -> ListMessagesResponse:
    """Return one of three pages with a hundred messages each."""
    number = int(request.page_token or "0")
    return ListMessagesResponse(
        messages=[Message(id=f"m{number * 100 + place}") for place in range(100)],
        next_page_token=str(number + 1) if number < 2 else "",
    )


async def test_messages_are_filtered_and_shown(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListMessages", ListMessagesResponse(messages=[NEWS]))

    result = await redrive("messages", "--page", "1", "--status", "failed", "--status", "SENT", "--with-failures")

    assert result.exit_code == 0, result.output
    assert server.asked("ListMessages") == [
        ListMessagesRequest(
            page_id="1",
            statuses=[MessageStatus.MESSAGE_STATUS_FAILED, MessageStatus.MESSAGE_STATUS_SENT],
            with_failures=True,
            page_size=1_000,
        )
    ]
    assert "News [bold]x" in result.stdout
    assert "PARTIALLY_SENT" in result.stdout
    assert "1,197" in result.stdout


async def test_json_is_one_document_of_all_pages_with_every_field(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListMessages", page_of_messages)

    document = json.loads((await redrive("messages", "-o", "json")).stdout)

    assert [message["id"] for message in document["messages"]] == [f"m{number}" for number in range(300)]
    assert document["next_page_token"] == ""
    assert document["messages"][0]["status"] == "MESSAGE_STATUS_UNSPECIFIED"
    assert document["messages"][0]["retry_count"] == 0


async def test_a_table_stops_at_a_hundred_rows_and_says_so(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListMessages", page_of_messages)

    result = await redrive("messages")

    assert "m99" in result.stdout
    assert "m100" not in result.stdout
    assert "There are more: --limit 0 shows all." in result.stdout
    assert len(server.asked("ListMessages")) == 1


@pytest.mark.parametrize(
    ("limit", "last", "more"), [("150", 149, True), ("250", 249, True), ("300", 299, False), ("0", 299, False)]
)
async def test_a_limit_cuts_a_list(
    server: "ScriptedServer", redrive: "Redrive", limit: str, last: int, more: bool
) -> None:
    server.answer("ListMessages", page_of_messages)

    result = await redrive("messages", "--limit", limit)

    assert f" m{last} " in result.stdout
    assert f" m{last + 1} " not in result.stdout
    assert ("There are more" in result.stdout) is more


async def test_one_message_is_shown_with_its_counts(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("GetMessage", GetMessageResponse(message=NEWS))

    result = await redrive("message", "m1")

    assert server.asked("GetMessage")[0].message_id == "m1"
    assert "1,200" in result.stdout


async def test_message_and_failures_are_shown_as_of_a_time(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("GetMessage", GetMessageResponse(message=NEWS))
    server.answer("ListFailed", FAILED)

    message = await redrive("message", "m1", "--as-of", "2026-03-01T12:00:00+00:00")
    failed = await redrive("failed", "m1", "--as-of", "2026-03-01T12:00:00+00:00")

    assert message.exit_code == failed.exit_code == 0
    for rpc in ("GetMessage", "ListFailed"):
        assert server.asked(rpc)[0].as_of_time.ToJsonString() == "2026-03-01T12:00:00Z"


async def test_failures_are_counted_by_type_before_they_are_listed(
    server: "ScriptedServer", redrive: "Redrive"
) -> None:
    server.answer("ListFailed", FAILED)

    result = await redrive("failed", "m1", "--error-type", "rate_limit", "--retryable")

    assert result.exit_code == 0, result.output
    assert server.asked("ListFailed") == [
        ListFailedRequest(
            message_id="m1", error_types=[ErrorType.ERROR_TYPE_RATE_LIMIT], retryable_only=True, page_size=1_000
        )
    ]
    assert result.stdout.index("RATE_LIMIT") < result.stdout.index("Of 1,200 recipients") < result.stdout.index("17")
    assert "613/1996" in result.stdout


@pytest.mark.parametrize(
    ("failed", "why", "advice"),
    [
        (FailedRecipient(attempt_count=4, unconfirmed=True), "attempts used up", "No further resend is possible."),
        (FailedRecipient(attempt_count=3, unconfirmed=True), "unconfirmed", "--include-unconfirmed"),
        (
            FailedRecipient(attempt_count=1, last_error_type=ErrorType.ERROR_TYPE_ACCESS_TOKEN),
            "waiting for a new token",
            "redrive page put PAGE",
        ),
        (
            FailedRecipient(attempt_count=1, last_error_type=ErrorType.ERROR_TYPE_INVALID_RECIPIENT),
            "permanent error",
            "--error-type or --recipient",
        ),
    ],
)
async def test_skipped_recipients_are_shown_with_reason_and_advice(
    server: "ScriptedServer", redrive: "Redrive", failed: FailedRecipient, why: str, advice: str
) -> None:
    server.answer("ListFailed", ListFailedResponse(failed_recipients=[failed] * 2, max_retry_attempts=3))

    *table, last = (await redrive("failed", "m1")).stdout.splitlines()

    assert sum(f" no │ {why} " in " ".join(line.split()) for line in table) == 2
    assert last.startswith(f"{why.capitalize()}: ")
    assert advice in last


async def test_recipient_names_cannot_control_the_terminal(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("ListFailed", FAILED)

    result = await redrive("failed", "m1")

    assert "Ada [31m" in result.stdout
    assert "\x1b" not in result.stdout


HARMFUL = ["\x1b[2J", "\x9b2J", "\x07", "\x7f", "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff", "\x85"]


@pytest.mark.parametrize("character", HARMFUL)
@pytest.mark.parametrize("form", ["json", "table"])
async def test_platform_errors_cannot_control_the_terminal(
    server: "ScriptedServer", redrive: "Redrive", character: str, form: str
) -> None:
    """The previous release stored these characters; JSON output escapes all of them."""
    answer = ListFailedResponse()
    answer.CopyFrom(FAILED)
    said = answer.failed_recipients[0].last_error_message = f"ab{character}cd"
    server.answer("ListFailed", answer)

    result = await redrive("failed", "m1", *(["-o", "json"] if form == "json" else []))

    assert not set(result.stdout) & (set("\x1b\x9b\x07\x7f\x85\u202e\u2066\u200f\u2028\ufeff"))
    if form == "json":
        assert json.loads(result.stdout)["failed_recipients"][0]["last_error_message"] == said


async def test_deliveries_are_filtered_and_shown(server: "ScriptedServer", redrive: "Redrive") -> None:
    delivery = Delivery(
        batch_number=4,
        recipient_id="17",
        attempt_number=2,
        status=DeliveryStatus.DELIVERY_STATUS_FAILED,
        error=DeliveryError(code=190, message="expired", type=ErrorType.ERROR_TYPE_ACCESS_TOKEN),
    )
    server.answer("ListDeliveries", ListDeliveriesResponse(deliveries=[delivery]))

    result = await redrive(
        "deliveries", "m1", "--recipient", "17", "--status", "failed", "--error-type", "access_token"
    )

    assert server.asked("ListDeliveries") == [
        ListDeliveriesRequest(
            message_id="m1",
            recipient_id="17",
            statuses=[DeliveryStatus.DELIVERY_STATUS_FAILED],
            error_types=[ErrorType.ERROR_TYPE_ACCESS_TOKEN],
            page_size=1_000,
        )
    ]
    assert "ACCESS_TOKEN" in result.stdout
    assert "expired" in result.stdout


async def test_deliveries_show_delivered_and_read_times(server: "ScriptedServer", redrive: "Redrive") -> None:
    delivery = Delivery(
        recipient_id="17",
        status=DeliveryStatus.DELIVERY_STATUS_SENT,
        delivered_time=Timestamp(seconds=1_700_000_000),
        read_time=Timestamp(seconds=1_700_086_400),
    )
    server.answer("ListDeliveries", ListDeliveriesResponse(deliveries=[delivery]))

    result = await redrive("deliveries", "m1")

    shown = [format_time(time) for time in (delivery.delivered_time, delivery.read_time)]
    assert " │ ".join(shown) in result.stdout


async def test_batches_are_shown(server: "ScriptedServer", redrive: "Redrive") -> None:
    counts = Counts(total=91, pending=1, sending=2, sent=40, failed=5, unconfirmed=6, cancelled=37)
    batch = Batch(number=4, status=BatchStatus.BATCH_STATUS_STARTED, worker="w-7", counts=counts)
    server.answer("ListBatches", ListBatchesResponse(batches=[batch]))

    result = await redrive("batches", "m1")

    assert "STARTED" in result.stdout
    assert "w-7 │ 91 │ 3 │ 40 │ 5 │ 6 │ 37 │" in " ".join(result.stdout.split())


async def test_cancel_shows_the_cancelled_message(server: "ScriptedServer", redrive: "Redrive") -> None:
    cancelled = Message(id="m1", status=MessageStatus.MESSAGE_STATUS_CANCELLED)
    server.answer("CancelMessage", CancelMessageResponse(message=cancelled))

    result = await redrive("cancel", "m1")

    assert server.asked("CancelMessage")[0].message_id == "m1"
    assert "CANCELLED" in result.stdout
