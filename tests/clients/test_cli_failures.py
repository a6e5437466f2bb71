"""Requests and output of `redrive failures`."""

import json
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.error_pb2 import DeliveryError, ErrorType
from redrive.v1.report_service_pb2 import (
    ErrorTypeFailures,
    MessageFailures,
    SummarizeFailuresRequest,
    SummarizeFailuresResponse,
)

if TYPE_CHECKING:
    from tests.clients.conftest import Redrive, ScriptedServer

RATE_LIMIT = ErrorTypeFailures(
    error_type=ErrorType.ERROR_TYPE_RATE_LIMIT,
    count=1_234,
    first_time=Timestamp(seconds=1_700_000_000),
    last_time=Timestamp(seconds=1_700_086_400),
    sample_error=DeliveryError(code=613, subcode=1996, message="Slow\x1b[31m down"),
)
NETWORK = ErrorTypeFailures(error_type=ErrorType.ERROR_TYPE_NETWORK, count=7)


def page_of_failures(request: SummarizeFailuresRequest) -> SummarizeFailuresResponse:
    """Return one of two pages with one message each."""
    message = MessageFailures(message_id=f"m{request.page_token or 0}", title="News", error_types=[RATE_LIMIT, NETWORK])
    return SummarizeFailuresResponse(messages=[message], next_page_token="" if request.page_token else "1")


async def test_failures_of_all_messages_are_shown_a_line_for_each_error_type(
    server: "ScriptedServer", redrive: "Redrive"
) -> None:
    server.answer("SummarizeFailures", page_of_failures)

    result = await redrive("failures")

    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert sum("│ m0 │ News │ RATE_LIMIT │ 1,234 │ 2023-11-1" in line for line in lines) == 1
    assert sum("│ m1 │ News │ NETWORK │ 7 │ │ │ │ │" in line for line in lines) == 1
    assert "613/1996" in result.stdout
    assert "\x1b" not in result.stdout


async def test_failures_are_filtered_by_message_and_page(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("SummarizeFailures", SummarizeFailuresResponse())

    await redrive("failures", "m1", "m2", "--page", "1001")

    assert server.asked("SummarizeFailures") == [
        SummarizeFailuresRequest(message_ids=["m1", "m2"], page_id="1001", page_size=1_000)
    ]


async def test_failures_are_one_document_in_json(server: "ScriptedServer", redrive: "Redrive") -> None:
    server.answer("SummarizeFailures", page_of_failures)

    document = json.loads((await redrive("failures", "-o", "json")).stdout)

    assert [message["message_id"] for message in document["messages"]] == ["m0", "m1"]
    assert document["messages"][0]["error_types"][0]["count"] == 1_234
    assert document["next_page_token"] == ""
