"""MaintenanceService.ErasePerson."""

import csv
import io

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListDeliveriesRequest,
    ListFailedRequest,
    ResendRequest,
)
from redrive.v1.maintenance_service_pb2 import ErasePersonRequest
from redrive.v1.report_service_pb2 import ExportDeliveriesRequest, ExportRows, GetDeliveryReportRequest
from tests.builders import FAILED, wall_clock
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request

PER_RECIPIENT = ExportRows.EXPORT_ROWS_RECIPIENTS


async def erase(edge: Edge, recipient_id: str = "ann", **fields: str) -> int:
    request = ErasePersonRequest(recipient_id=recipient_id, **fields)
    return (await edge.maintenance.ErasePerson(request)).messages_affected


async def sent(edge: Edge) -> str:
    """Create a message that failed for all recipients, and resend it; return its id."""
    message_id = (await edge.delivery.Send(send_request("ann", "bob"))).message.id
    await edge.deliver(message_id, {"ann": FAILED, "bob": FAILED})
    await edge.delivery.Resend(ResendRequest(message_id=message_id))
    await edge.deliver(message_id, {"ann": FAILED, "bob": FAILED}, batch_number=2)
    return message_id


async def attempts(edge: Edge, message_id: str) -> list[tuple[str, int]]:
    answer = await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id))
    return [(one.recipient_name, one.attempt_number) for one in answer.deliveries]


async def failures(edge: Edge, message_id: str) -> list[str]:
    answer = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id))
    return [one.recipient_name for one in answer.failed_recipients]


async def exported(edge: Edge, message_id: str, **fields: ExportRows.ValueType) -> list[str]:
    request = ExportDeliveriesRequest(message_id=message_id, **fields)  # type: ignore[arg-type]
    text = b"".join([answer.data async for answer in edge.reports.ExportDeliveries(request)]).decode()
    return [row["recipient_name"] for row in csv.DictReader(io.StringIO(text, newline=""))]


async def test_an_erased_recipients_name_is_removed_everywhere_and_all_else_is_unchanged(edge: Edge) -> None:
    message_id = await sent(edge)
    message = (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message
    report = await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(message_id=message_id))
    assert await attempts(edge, message_id) == [("Ann", 1), ("Bob", 1), ("Ann", 2), ("Bob", 2)]
    assert await failures(edge, message_id) == ["Ann", "Bob"]
    assert await exported(edge, message_id) == ["Ann", "Bob"] * 2
    assert await exported(edge, message_id, rows=PER_RECIPIENT) == ["Ann", "Bob"]

    assert await erase(edge) == 1

    assert await attempts(edge, message_id) == [("", 1), ("Bob", 1), ("", 2), ("Bob", 2)]
    assert await failures(edge, message_id) == ["", "Bob"]
    assert await exported(edge, message_id) == ["", "Bob"] * 2
    assert await exported(edge, message_id, rows=PER_RECIPIENT) == ["", "Bob"]
    assert (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message == message
    assert await edge.reports.GetDeliveryReport(GetDeliveryReportRequest(message_id=message_id)) == report


async def test_past_states_do_not_show_the_name(edge: Edge) -> None:
    message_id = await sent(edge)
    before = Timestamp()
    before.FromDatetime(wall_clock())
    await erase(edge)

    answer = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id, as_of_time=before))

    assert [(one.recipient_id, one.recipient_name) for one in answer.failed_recipients] == [("ann", ""), ("bob", "Bob")]


async def test_a_repeated_request_gets_the_first_answer(edge: Edge) -> None:
    await sent(edge)

    assert [await erase(edge, request_id="r-1") for _ in range(2)] == [1, 1]
    assert await erase(edge) == 0
    refusal = await refusal_of(erase(edge, "bob", request_id="r-1"))
    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_a_recipient_without_messages_is_not_found(edge: Edge) -> None:
    refusal = await refusal_of(erase(edge, "unknown"))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.NOT_FOUND, "PERSON_NOT_FOUND")
    assert dict(refusal.info.metadata) == {"recipient_id": "unknown"}


@pytest.mark.parametrize("recipient_id", ["", "with space", "x" * 129, "nul\0"])
async def test_an_invalid_recipient_id_is_refused(edge: Edge, recipient_id: str) -> None:
    refusal = await refusal_of(erase(edge, recipient_id))

    assert (refusal.code, list(refusal.violations)) == (grpc.StatusCode.INVALID_ARGUMENT, ["recipient_id"])
