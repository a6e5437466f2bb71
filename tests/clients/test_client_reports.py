"""Reports, exports and past states through the client."""

from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from redrive import Client, DeadlineExceeded, NotFound
from redrive.v1.delivery_service_pb2 import (
    GetMessageResponse,
    ListEventsRequest,
    ListEventsResponse,
    ListFailedResponse,
    LogEvent,
)
from redrive.v1.message_pb2 import Message
from redrive.v1.report_service_pb2 import (
    ExportDeliveriesRequest,
    ExportDeliveriesResponse,
    GetDeliveryReportRequest,
    GetDeliveryReportResponse,
    MessageReport,
)

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer

REQUEST = ExportDeliveriesRequest(message_id="m1")
PART = ExportDeliveriesResponse(data=b"part")
THEN = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1)))


async def test_an_export_comes_part_by_part(server: "ScriptedServer", client: Client) -> None:
    server.stream(PART, PART, ExportDeliveriesResponse(data=b"end"))

    parts = [part async for part in client.export_deliveries(REQUEST)]

    assert parts == [b"part", b"part", b"end"]
    assert server.asked("ExportDeliveries") == [REQUEST]


async def test_an_export_that_breaks_off_raises_after_what_was_read(server: "ScriptedServer", client: Client) -> None:
    server.stream(PART, server.refusal(grpc.StatusCode.NOT_FOUND))
    parts = client.export_deliveries(REQUEST)

    assert await anext(parts) == b"part"
    with pytest.raises(NotFound):
        await anext(parts)


async def test_silent_export_raises_deadline_exceeded(server: "ScriptedServer", client: Client) -> None:
    server.stream(PART, server.silence())
    client._connection.timeout = 0.2
    parts = client.export_deliveries(REQUEST)

    assert await anext(parts) == b"part"
    with pytest.raises(DeadlineExceeded):
        await anext(parts)


async def test_closing_the_generator_ends_the_export(server: "ScriptedServer", client: Client) -> None:
    server.stream(PART, server.silence())

    async with aclosing(client.export_deliveries(REQUEST)) as parts:
        await anext(parts)

    await server.no_stream_is_open.wait()


async def test_past_state_is_requested_with_its_time(server: "ScriptedServer", client: Client) -> None:
    server.answer("GetMessage", GetMessageResponse(message=Message(id="m1")))
    server.answer("ListFailed", ListFailedResponse())

    await client.get_message("m1", as_of_time=THEN)
    await client.list_failed("m1", as_of_time=THEN).page()
    await client.get_message("m1")

    times = [request.as_of_time for rpc in ("GetMessage", "ListFailed") for request in server.asked(rpc)]
    then = Timestamp()
    then.FromDatetime(THEN.astimezone(UTC))
    assert times == [then, Timestamp(), then]
    assert not server.asked("GetMessage")[1].HasField("as_of_time")


async def test_the_messages_of_a_report_are_iterated_over_all_pages(server: "ScriptedServer", client: Client) -> None:
    def page(request: GetDeliveryReportRequest) -> GetDeliveryReportResponse:
        report = MessageReport(message_id=f"m{request.page_token or 0}")
        return GetDeliveryReportResponse(messages=[report], next_page_token="" if request.page_token else "1")

    server.answer("GetDeliveryReport", page)

    found = [report.message_id async for report in client.get_delivery_report(page_id="1001", start_time=THEN)]

    assert found == ["m0", "m1"]
    assert [asked.start_time.ToDatetime(tzinfo=UTC) for asked in server.asked("GetDeliveryReport")] == [THEN, THEN]


async def test_events_are_iterated(server: "ScriptedServer", client: Client) -> None:
    server.answer("ListEvents", ListEventsResponse(events=[LogEvent(position=1), LogEvent(position=2)]))

    positions = [event.position async for event in client.list_events("m1", batch_number=3)]

    assert positions == [1, 2]
    assert server.asked("ListEvents") == [ListEventsRequest(message_id="m1", batch_number=3, page_size=1_000)]
