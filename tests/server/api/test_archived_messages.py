"""Calls about a message whose events are in an archive."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from domain.message_events import MessageCompleted
from domain.streams import message_stream
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    GetMessageRequest,
    ListDeliveriesRequest,
    ListEventsRequest,
    ListFailedRequest,
    PauseMessageRequest,
    ResendRequest,
    ResumeMessageRequest,
)
from redrive.v1.receipt_service_pb2 import RecordReceiptsRequest, RecordReceiptsResponse
from redrive.v1.report_service_pb2 import GetDeliveryReportRequest, SummarizeFailuresRequest
from server.eventstore.archive import archive_messages
from server.eventstore.rebuild import differences
from server.eventstore.store import Store
from tests.builders import FAILED, wall_clock
from tests.server.api.edge import Edge
from tests.server.api.receipts import PEOPLE, READ, at, came, echo
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request


async def over(edge: Edge) -> Any:
    """Create a done message to Ann, Bob and Cid, with Bob failed; return it as GetMessage answers."""
    answer = await edge.delivery.Send(send_request(*PEOPLE, request_id="r-1"))
    message_id = answer.message.id
    await edge.deliver(message_id, {"bob": FAILED}, now=wall_clock())
    await edge.receipts.RecordReceipts(RecordReceiptsRequest(receipts=[echo(message_id, "ann")]))
    await edge.commit(message_stream(message_id), 1, MessageCompleted(message_id=message_id, time=wall_clock()))
    return answer.message


def store_of(edge: Edge) -> Store:
    store: Store = edge.log._store  # type: ignore[attr-defined]  # as when no server runs
    return store


async def test_it_is_shown_as_before_and_does_not_change(edge: Edge, tmp_path: Path) -> None:
    message = await over(edge)
    reads: list[Callable[[], Awaitable[Any]]] = [
        lambda: edge.delivery.GetMessage(GetMessageRequest(message_id=message.id)),
        lambda: edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message.id)),
        lambda: edge.delivery.ListFailed(ListFailedRequest(message_id=message.id)),
        lambda: edge.reports.GetDeliveryReport(GetDeliveryReportRequest(message_id=message.id)),
        lambda: edge.reports.SummarizeFailures(SummarizeFailuresRequest(message_ids=[message.id])),
    ]
    before = [await read() for read in reads]
    folder = tmp_path / "archive"

    moved = await asyncio.to_thread(archive_messages, store_of(edge), folder, wall_clock(), wall_clock())

    assert moved.messages == 1
    assert [await read() for read in reads] == before
    assert (await edge.delivery.Send(send_request(*PEOPLE, request_id="r-1"))).message.id == message.id
    receipts = RecordReceiptsRequest(
        receipts=[echo(message.id, "cid"), came(READ, "ann", watermark=at(10**9)), echo(message.id, "ann")]
    )
    assert await edge.receipts.RecordReceipts(receipts) == RecordReceiptsResponse(unmatched=3)
    assert await asyncio.to_thread(differences, store_of(edge), folder) == {}


def then() -> Timestamp:
    time = Timestamp()
    time.GetCurrentTime()
    return time


REFUSED: dict[str, Callable[[Edge, str], Awaitable[Any]]] = {
    "Resend": lambda edge, m: edge.delivery.Resend(ResendRequest(message_id=m)),
    "a dry run": lambda edge, m: edge.delivery.Resend(ResendRequest(message_id=m, validate_only=True)),
    "PauseMessage": lambda edge, m: edge.delivery.PauseMessage(PauseMessageRequest(message_id=m)),
    "ResumeMessage": lambda edge, m: edge.delivery.ResumeMessage(ResumeMessageRequest(message_id=m)),
    "CancelMessage": lambda edge, m: edge.delivery.CancelMessage(CancelMessageRequest(message_id=m)),
    "ListEvents": lambda edge, m: edge.delivery.ListEvents(ListEventsRequest(message_id=m)),
    "GetMessage as of then": lambda edge, m: edge.delivery.GetMessage(
        GetMessageRequest(message_id=m, as_of_time=then())
    ),
    "ListFailed as of then": lambda edge, m: edge.delivery.ListFailed(
        ListFailedRequest(message_id=m, as_of_time=then())
    ),
}


async def test_calls_that_need_its_events_are_refused_and_name_the_archive_file(edge: Edge, tmp_path: Path) -> None:
    message = await over(edge)
    await asyncio.to_thread(archive_messages, store_of(edge), tmp_path / "archive", wall_clock(), wall_clock())
    (file,) = (tmp_path / "archive").glob("*.gz")
    events = await edge.rows("stored_events")

    for call in REFUSED.values():
        refusal = await refusal_of(call(edge, message.id))

        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MESSAGE_ARCHIVED")
        assert refusal.info.metadata == {"message_id": message.id, "file": file.name}
        assert refusal.precondition.violations[0].subject == f"messages/{message.id}"
    assert await edge.rows("stored_events") == events
