"""ListEvents."""

import json
from typing import Any

import grpc
import pytest

from domain import batch as batches
from domain import batch_decisions
from domain.receipts import Receipt, ReceiptKind, ReceiptsRecorded
from domain.streams import batch_stream, receipts_stream
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    ListEventsRequest,
    ListEventsResponse,
    LogEvent,
    ResendRequest,
)
from server.queries import message_events as history_events
from tests.builders import FAILED, FAILED_FOR_GOOD, NOW, UNCONFIRMED, known
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request


async def events(edge: Edge, message_id: str, **fields: Any) -> ListEventsResponse:
    return await edge.delivery.ListEvents(ListEventsRequest(message_id=message_id, **fields))


async def create_history(edge: Edge) -> str:
    """Create a message to three recipients: one reached, one resent, then cancelled; return its id."""
    request = send_request("ann", "bob", "cid", text="Dear {{name}}", title="Spring sale", request_id="r-1")
    message_id = (await edge.delivery.Send(request)).message.id
    await edge.deliver(message_id, {"ann": FAILED, "bob": FAILED_FOR_GOOD})
    await edge.delivery.Resend(ResendRequest(message_id=message_id))
    await edge.delivery.CancelMessage(CancelMessageRequest(message_id=message_id))
    return message_id


def names(answer: ListEventsResponse) -> list[tuple[int, int, str]]:
    return [(event.batch_number, event.version, event.name) for event in answer.events]


async def test_the_events_of_a_message_are_listed_in_log_order(edge: Edge) -> None:
    answer = await events(edge, await create_history(edge))

    assert names(answer) == [
        (0, 1, "MessageSubmitted"),
        (1, 1, "BatchCreated"),
        (1, 2, "BatchStarted"),
        (1, 3, "DeliveriesDispatched"),
        (1, 4, "OutcomesRecorded"),
        (1, 5, "BatchCompleted"),
        (0, 2, "RetryRequested"),
        (2, 1, "BatchCreated"),
        (0, 3, "MessageCancelled"),
        (2, 2, "BatchCancelled"),
        (2, 3, "BatchCompleted"),
    ]
    positions = [event.position for event in answer.events]
    assert positions == sorted(set(positions))
    assert answer.events[4].time.ToSeconds() == int(NOW.timestamp())
    assert answer.next_page_token == ""


async def test_each_event_has_a_summary(edge: Edge) -> None:
    answer = await events(edge, await create_history(edge))

    assert [event.summary for event in answer.events] == [
        "Accepted from local: 3 recipients in 1 batch",
        "Planned: 3 recipients in round 0",
        "Claimed by worker-1",
        "Dispatched: 3",
        "2 failed, 1 sent (1 NETWORK, 1 INVALID_RECIPIENT)",
        "Done: none of its deliveries is open",
        "Round 1 (MANUAL) by local: 1 recipient in 1 batch from number 2",
        "Planned: 1 recipient in round 1",
        "Cancelled by local",
        "Its pending deliveries were cancelled",
        "Done: none of its deliveries is open",
    ]


def details(event: LogEvent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.details)
    return found


async def test_details_are_the_fields_of_the_event(edge: Edge) -> None:
    answer = await events(edge, await create_history(edge))
    submitted, created, _, dispatched, recorded = map(details, answer.events[:5])

    assert (submitted["title"], submitted["total"], submitted["page_id"]) == ("Spring sale", 3, "1001")
    assert submitted["request"] == {"owner": "local", "method": "Send", "request_id": "r-1"}
    assert [who["id"] for who in created["recipients"]] == ["ann", "bob", "cid"]
    assert dispatched["positions"] == [0, 1, 2]
    assert recorded["outcomes"][1]["outcome"] == {
        "type": "failed",
        "fault": {
            "code": 100,
            "subcode": 2018001,
            "message": "no luck",
            "type": "INVALID_RECIPIENT",
            "scope": "RECIPIENT",
            "retry": "NEVER",
            "is_listed": True,
        },
    }
    assert recorded["outcomes"][2]["outcome"] == {"type": "sent", "provider_message_id": "mid.1"}


async def test_no_text_variable_or_name_is_shown(edge: Edge) -> None:
    request = send_request(text="Dear {{name}}, {{secret}}")
    request.recipients[0].variables["secret"] = "a variable"
    request.recipients[1].variables["secret"] = "a variable"
    message_id = (await edge.delivery.Send(request)).message.id
    await edge.deliver(message_id, {})

    answer = f"{await events(edge, message_id)}"

    assert "ann" in answer
    assert not any(word in answer for word in ("Ann", "Dear", "a variable", "sealed", "payload_hash"))


async def test_receipts_are_listed_with_the_events_of_their_batch(edge: Edge) -> None:
    message_id = (await edge.delivery.Send(send_request())).message.id
    await edge.deliver(message_id, {"ann": UNCONFIRMED})
    echo = Receipt(position=0, kind=ReceiptKind.ECHO, time=NOW, provider_message_id="mid.7")
    recorded = ReceiptsRecorded(message_id=message_id, batch_number=1, receipts=(echo,), time=NOW)
    await edge.commit(receipts_stream(message_id, 0, 1), 0, recorded)

    answer = await events(edge, message_id, batch_number=1)

    assert names(answer)[-1] == (1, 1, "ReceiptsRecorded")
    assert answer.events[-1].summary == "Receipts: 1 echo"
    assert details(answer.events[-1])["receipts"][0]["provider_message_id"] == "mid.7"


async def test_late_outcomes_are_called_late(edge: Edge) -> None:
    message_id = (await edge.delivery.Send(send_request())).message.id
    await edge.deliver(message_id, {"ann": UNCONFIRMED})
    stream = batch_stream(message_id, 0, 1)
    batch = batches.fold(await edge.log.load(stream))
    await edge.commit(stream, batch.version, *batch_decisions.record_late(batch, [known(0)], now=NOW))

    assert (await events(edge, message_id)).events[-1].summary == "Recorded late: 1 sent"


async def test_events_are_listed_in_pages(edge: Edge) -> None:
    message_id = await create_history(edge)
    whole = await events(edge, message_id)

    found: list[LogEvent] = []
    token = ""
    for _ in range(3):
        page = await events(edge, message_id, page_size=4, page_token=token)
        found += page.events
        token = page.next_page_token

    assert found == list(whole.events)
    assert token == ""


@pytest.mark.parametrize(("batch_number", "found"), [(1, 5), (2, 3), (3, 0)])
async def test_events_of_one_batch_can_be_listed_separately(edge: Edge, batch_number: int, found: int) -> None:
    answer = await events(edge, await create_history(edge), batch_number=batch_number)

    assert [event.batch_number for event in answer.events] == [batch_number] * found


async def test_a_token_of_one_batch_is_invalid_for_another(edge: Edge) -> None:
    message_id = await create_history(edge)
    token = (await events(edge, message_id, batch_number=1, page_size=2)).next_page_token

    refusal = await refusal_of(events(edge, message_id, batch_number=2, page_size=2, page_token=token))

    assert list(refusal.violations) == ["page_token"]


async def test_the_events_of_another_owners_message_are_not_found(edge: Edge) -> None:
    await edge.submit_as("another owner", "m-theirs")

    for message_id in ("m-theirs", "m-unknown"):
        refusal = await refusal_of(events(edge, message_id))
        assert refusal.code is grpc.StatusCode.NOT_FOUND
        assert refusal.info.reason == "MESSAGE_NOT_FOUND"


async def test_a_page_limited_by_its_size_has_the_token_of_the_next(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer stays below 4 MiB, gRPC's default limit, and is created in a tenth of a second."""
    message_id = await create_history(edge)
    whole = names(await events(edge, message_id))
    monkeypatch.setattr(history_events, "MAX_PAGE_BYTES", 1)
    found: list[tuple[int, int, str]] = []
    page = await events(edge, message_id)
    while page.next_page_token:
        found += names(page)
        page = await events(edge, message_id, page_token=page.next_page_token)

    assert found + names(page) == whole
    assert len(names(page)) <= 1
