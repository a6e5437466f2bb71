"""ReceiptService."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from domain.event import Event
from domain.outcome import Outcome
from domain.receipts import ReceiptsRecorded
from domain.streams import batch_stream, message_stream, receipts_stream
from redrive.v1.delivery_pb2 import Delivery, DeliveryStatus
from redrive.v1.delivery_service_pb2 import GetMessageRequest, ListDeliveriesRequest, ListFailedRequest, ResendRequest
from redrive.v1.message_pb2 import Counts
from redrive.v1.receipt_service_pb2 import (
    Receipt,
    RecordReceiptsRequest,
    RecordReceiptsResponse,
)
from tests.builders import (
    FAILED,
    FAILED_FOR_GOOD,
    UNCONFIRMED,
    batch_created,
    message_submitted,
    wall_clock,
)
from tests.server.api.edge import Edge
from tests.server.api.receipts import DELIVERED, PEOPLE, READ, at, came, echo
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request


async def sent(edge: Edge, outcomes: Mapping[str, Outcome], **fields: Any) -> str:
    """Send to Ann, Bob and Cid and record outcomes; recipients that are not named are sent to. Return the id."""
    message_id = (await edge.delivery.Send(send_request(*PEOPLE, **fields))).message.id
    await edge.deliver(message_id, outcomes)
    return message_id


async def record(edge: Edge, *receipts: Receipt) -> tuple[int, int, int]:
    """Record receipts; return the numbers of recorded, already known and unmatched ones."""
    answer = await edge.receipts.RecordReceipts(RecordReceiptsRequest(receipts=receipts))
    return answer.recorded, answer.already_known, answer.unmatched


async def deliveries(edge: Edge, message_id: str) -> dict[str, Delivery]:
    answer = await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id))
    return {delivery.recipient_id: delivery for delivery in answer.deliveries}


async def counts(edge: Edge, message_id: str) -> Counts:
    return (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message.counts


async def recorded(edge: Edge, message_id: str, batch: int = 1) -> list[Event]:
    return list(await edge.log.load(receipts_stream(message_id, 0, batch)))


# Echoes


async def test_an_echo_makes_unconfirmed_and_failed_deliveries_sent(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED, "bob": FAILED})

    assert await record(edge, echo(message_id, "ann"), echo(message_id, "bob")) == (2, 0, 0)

    found = await deliveries(edge, message_id)
    assert {delivery.status for delivery in found.values()} == {DeliveryStatus.DELIVERY_STATUS_SENT}
    assert found["ann"].provider_message_id == "m_ann1"
    assert found["ann"].sent_time == at(0)
    assert not found["ann"].HasField("failed_time")
    assert not found["ann"].HasField("error")
    assert await counts(edge, message_id) == Counts(total=3, sent=3)
    failed = await edge.delivery.ListFailed(ListFailedRequest(message_id=message_id))
    assert (list(failed.failed_recipients), list(failed.error_type_counts)) == ([], [])


async def test_a_delivery_sent_by_its_echo_is_not_resent(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED, "bob": FAILED})
    await record(edge, echo(message_id, "ann"), echo(message_id, "bob"))

    for named in ([], ["ann", "bob"]):
        request = ResendRequest(message_id=message_id, include_unconfirmed=True, recipient_ids=named)
        assert (await edge.delivery.Resend(request)).recipients_to_retry == 0


async def test_an_echo_makes_a_pending_delivery_sent(edge: Edge) -> None:
    message_id = (await edge.delivery.Send(send_request(*PEOPLE))).message.id

    assert await record(edge, echo(message_id, "cid")) == (1, 0, 0)

    assert await counts(edge, message_id) == Counts(total=3, pending=2, sent=1)


async def test_an_echo_of_the_first_attempt_cancels_the_planned_second(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED, "bob": FAILED_FOR_GOOD})
    await edge.delivery.Resend(ResendRequest(message_id=message_id, include_unconfirmed=True))
    assert await counts(edge, message_id) == Counts(total=3, pending=1, sent=1, failed=1)

    await record(edge, echo(message_id, "ann"))

    assert await counts(edge, message_id) == Counts(total=3, sent=2, failed=1)


async def test_an_echo_of_a_sent_delivery_changes_no_count(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": FAILED})
    before = await counts(edge, message_id)

    assert await record(edge, echo(message_id, "cid")) == (1, 0, 0)

    assert await counts(edge, message_id) == before


# Deliveries and reads


async def test_an_echoed_message_is_marked_delivered_and_read_by_the_platforms_id(edge: Edge) -> None:
    message_id = await sent(edge, {})
    await record(edge, echo(message_id, "ann"))

    receipts = [came(DELIVERED, "ann", provider_message_id="m_ann1"), came(READ, "ann", provider_message_id="m_ann1")]
    receipts[1].time.CopyFrom(at(90))
    assert await record(edge, *receipts) == (2, 0, 0)

    ann = (await deliveries(edge, message_id))["ann"]
    assert (ann.delivered_time, ann.read_time) == (at(60), at(90))


async def test_a_watermark_marks_all_earlier_messages_to_a_recipient(edge: Edge) -> None:
    first, second, third = [await sent(edge, {}) for _ in range(3)]
    await record(edge, *(echo(one, "ann", time=at(place * 10)) for place, one in enumerate((first, second, third))))
    await record(edge, echo(first, "bob"))

    assert await record(edge, came(READ, "ann", watermark=at(10))) == (1, 0, 0)

    was_read = [(await deliveries(edge, one))["ann"].HasField("read_time") for one in (first, second, third)]
    assert was_read == [True, True, False]
    assert not (await deliveries(edge, first))["bob"].HasField("read_time")


async def test_receipts_of_one_request_are_matched_in_any_order(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED})
    read = came(READ, "ann", watermark=at(30))
    delivered = came(DELIVERED, "ann", provider_message_id="m_ann1")

    assert await record(edge, read, delivered, echo(message_id, "ann")) == (3, 0, 0)


async def test_a_delivery_changes_when_it_was_read(edge: Edge) -> None:
    message_id = await sent(edge, {})
    moment = Timestamp()
    moment.FromDatetime(wall_clock())

    await record(edge, echo(message_id, "ann"), came(READ, "ann", watermark=at(30), time=moment))

    ann = (await deliveries(edge, message_id))["ann"]
    assert ann.update_time.ToDatetime() >= moment.ToDatetime()


# Repeated receipts


async def test_a_repeated_receipt_changes_nothing(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED})
    receipts = [
        echo(message_id, "ann"),
        came(DELIVERED, "ann", provider_message_id="m_ann1"),
        came(READ, "ann", watermark=at(30)),
    ]
    assert await record(edge, *receipts, *receipts) == (3, 3, 0)
    before, events = await deliveries(edge, message_id), await recorded(edge, message_id)

    receipts[0].time.CopyFrom(at(5))
    receipts[2].time.CopyFrom(at(99))
    assert await record(edge, *receipts) == (0, 3, 0)

    assert await deliveries(edge, message_id) == before
    assert await recorded(edge, message_id) == events


async def test_concurrent_calls_record_each_receipt_once(edge: Edge) -> None:
    message_id = await sent(edge, dict.fromkeys(PEOPLE, UNCONFIRMED))
    request = RecordReceiptsRequest(receipts=[echo(message_id, who) for who in PEOPLE])

    calls = [edge.receipts.RecordReceipts(request) for _ in range(20)]
    answers = [await call for call in calls]

    assert sum(answer.recorded for answer in answers) == 3
    assert sum(answer.already_known for answer in answers) == 57
    assert len(await recorded(edge, message_id)) == 1


async def test_a_call_records_one_event_per_batch(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED, "bob": UNCONFIRMED})
    await edge.delivery.Resend(ResendRequest(message_id=message_id, include_unconfirmed=True))

    assert await record(edge, *(echo(message_id, who) for who in PEOPLE), echo(message_id, "ann", batch=2)) == (4, 0, 0)

    (first,) = await recorded(edge, message_id)
    (second,) = await recorded(edge, message_id, batch=2)
    assert isinstance(first, ReceiptsRecorded)
    assert isinstance(second, ReceiptsRecorded)
    assert (len(first.receipts), len(second.receipts)) == (3, 1)


# Unmatched receipts


async def test_receipts_of_deliveries_not_known_to_be_sent_are_unmatched(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED})
    unmatched = [
        echo("m-unknown", "ann"),
        echo(message_id, "ann", delivery_id=f"{message_id}.1.3"),
        echo(message_id, "ann", delivery_id=f"{message_id}.2.0"),
        echo(message_id, "ann", delivery_id="another sender's metadata"),
        came(DELIVERED, "ann", provider_message_id="m_ann1"),
        came(READ, "ann", watermark=at(1e6)),
    ]

    assert await record(edge, *unmatched) == (0, 0, len(unmatched))
    assert await counts(edge, message_id) == Counts(total=3, sent=2, unconfirmed=1)


async def test_receipts_of_another_page_are_unmatched(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED})

    assert await record(edge, echo(message_id, "ann", page_id="2002")) == (0, 0, 1)

    await record(edge, echo(message_id, "ann"))
    others = [
        came(DELIVERED, "ann", provider_message_id="m_ann1", page_id="2002"),
        came(DELIVERED, "bob", provider_message_id="m_ann1"),
        came(READ, "ann", watermark=at(1e6), page_id="2002"),
        came(READ, "ann", watermark=at(-1)),
    ]
    assert await record(edge, *others) == (0, 0, 4)


async def test_receipts_of_another_owners_messages_are_unmatched(edge: Edge) -> None:
    await edge.commit(message_stream("theirs"), 0, message_submitted(1, message_id="theirs", owner="another owner"))
    await edge.commit(batch_stream("theirs", 0, 1), 0, batch_created("ann", message_id="theirs"))

    assert await record(edge, echo("theirs", "ann")) == (0, 0, 1)
    assert await edge.rows("receipts") == 0


# Times


async def test_a_future_time_counts_as_now(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED})
    tomorrow = Timestamp()
    tomorrow.FromDatetime(wall_clock() + timedelta(days=1))

    assert await record(edge, echo(message_id, "ann", time=tomorrow)) == (1, 0, 0)

    assert (await deliveries(edge, message_id))["ann"].sent_time.ToDatetime() <= wall_clock().replace(tzinfo=None)


async def test_an_invalid_request_records_nothing(edge: Edge) -> None:
    message_id = await sent(edge, {"ann": UNCONFIRMED})
    request = RecordReceiptsRequest(receipts=[echo(message_id, "ann"), Receipt()])

    refusal = await refusal_of(edge.receipts.RecordReceipts(request))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refusal.violations) == [f"receipts[1].{name}" for name in ("kind", "page_id", "recipient_id", "time")]
    assert await edge.rows("receipts") == 0


async def test_every_receipt_is_counted_once(edge: Edge) -> None:
    message_id = await sent(edge, {})
    request = RecordReceiptsRequest(receipts=[echo(message_id, "ann"), echo(message_id, "ann"), echo("m-x", "ann")])

    answer = await edge.receipts.RecordReceipts(request)

    assert answer == RecordReceiptsResponse(recorded=1, already_known=1, unmatched=1)
