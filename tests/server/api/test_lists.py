"""ListMessages, ListBatches and ListDeliveries: filters, order, and pages."""

from typing import Any

import grpc
import pytest

from domain import batch_decisions
from domain.batch import apply, fold
from domain.streams import batch_stream
from projections.sql import micros
from redrive.v1.batch_pb2 import BatchStatus
from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_pb2 import DeliveryStatus
from redrive.v1.delivery_service_pb2 import (
    ListBatchesRequest,
    ListDeliveriesRequest,
    ListFailedRequest,
    ListMessagesRequest,
)
from redrive.v1.error_pb2 import DeliveryError, ErrorType
from redrive.v1.message_pb2 import MessageStatus
from tests.builders import FAILED_FOR_GOOD, LEASE, NOW, PAGE, UNCONFIRMED, WORKER, after
from tests.keyed_ids import IDS
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request


async def send(edge: Edge, *ids: str, **fields: Any) -> str:
    return (await edge.delivery.Send(send_request(*ids, **fields))).message.id


async def send_to_many(edge: Edge, count: int) -> str:
    return await send(edge, recipients=[Recipient(id=f"u{number:04}", name="Ann") for number in range(count)])


async def test_messages_are_listed_newest_first_in_pages(edge: Edge) -> None:
    ids = [await send(edge) for _ in range(5)]

    first = await edge.delivery.ListMessages(ListMessagesRequest(page_size=3))
    second = await edge.delivery.ListMessages(ListMessagesRequest(page_size=3, page_token=first.next_page_token))

    assert [m.id for m in [*first.messages, *second.messages]] == ids[::-1]
    assert first.next_page_token
    assert second.next_page_token == ""


async def test_messages_are_filtered_by_page_status_and_failures(edge: Edge) -> None:
    failed, pending = await send(edge), await send(edge)
    await edge.deliver(failed, {"ann": FAILED_FOR_GOOD})

    async def listed(**fields: Any) -> set[str]:
        answer = await edge.delivery.ListMessages(ListMessagesRequest(**fields))
        return {message.id for message in answer.messages}

    assert await listed(page_id=PAGE) == {failed, pending}
    assert await listed(page_id="2002") == set()
    assert await listed(with_failures=True) == {failed}
    assert await listed(statuses=[MessageStatus.MESSAGE_STATUS_PENDING]) == {pending}
    assert await listed(statuses=[MessageStatus.MESSAGE_STATUS_PAUSED]) == set()


async def test_batches_are_listed_by_number(edge: Edge) -> None:
    message_id = await send_to_many(edge, 250)

    first = await edge.delivery.ListBatches(ListBatchesRequest(message_id=message_id, page_size=2))
    token = first.next_page_token
    second = await edge.delivery.ListBatches(ListBatchesRequest(message_id=message_id, page_size=2, page_token=token))

    batches = [*first.batches, *second.batches]
    assert [(batch.number, batch.counts.total) for batch in batches] == [(1, 100), (2, 100), (3, 50)]
    assert {batch.status for batch in batches} == {BatchStatus.BATCH_STATUS_PENDING}
    assert not any(batch.worker or batch.HasField("lease_expire_time") for batch in batches)
    assert second.next_page_token == ""


async def start_batch(edge: Edge, message_id: str) -> None:
    """Let a worker claim the first batch without outcomes."""
    stream = batch_stream(message_id, 0, 1)
    batch = fold(await edge.log.load(stream))
    expires = NOW + LEASE
    events = batch_decisions.start(batch, worker=WORKER, generation=1, lease_expire_time=expires, now=NOW)
    dispatched = batch_decisions.dispatch(apply(batch, events), [0], token_generation=1, now=NOW)
    await edge.commit(stream, batch.version, *events, *dispatched)


async def keep_lease(edge: Edge, expires: int) -> None:
    parameters = {"worker": WORKER, "expires": expires}
    statement = "INSERT INTO workers (worker, lease_expire_time) VALUES (:worker, :expires)"
    await edge.log.write(lambda sql: sql.execute(statement, parameters))


async def test_a_started_batch_shows_its_worker_and_its_claims_lease(edge: Edge) -> None:
    message_id = await send(edge)
    await start_batch(edge, message_id)

    [batch] = (await edge.delivery.ListBatches(ListBatchesRequest(message_id=message_id))).batches

    assert batch.status == BatchStatus.BATCH_STATUS_STARTED
    assert batch.worker == WORKER
    assert batch.lease_expire_time.ToMicroseconds() == micros(NOW + LEASE)
    assert (batch.counts.sending, batch.counts.pending) == (1, 1)
    assert batch.start_time.ToMicroseconds() == micros(NOW)


async def test_a_running_workers_lease_extends_that_of_its_batches(edge: Edge) -> None:
    message_id = await send(edge)
    await start_batch(edge, message_id)
    await keep_lease(edge, micros(after(3_600)))

    [batch] = (await edge.delivery.ListBatches(ListBatchesRequest(message_id=message_id))).batches

    assert batch.lease_expire_time.ToMicroseconds() == micros(after(3_600))


async def test_batches_are_filtered_by_status(edge: Edge) -> None:
    message_id = await send_to_many(edge, 150)
    await start_batch(edge, message_id)
    request = ListBatchesRequest(message_id=message_id, statuses=[BatchStatus.BATCH_STATUS_STARTED])

    assert [batch.number for batch in (await edge.delivery.ListBatches(request)).batches] == [1]


async def test_every_attempt_is_listed_with_its_outcome(edge: Edge) -> None:
    message_id = await send(edge, "ann", "bob", "cid")
    await edge.deliver(message_id, {"ann": FAILED_FOR_GOOD, "cid": UNCONFIRMED})

    ann, bob, cid = (await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id))).deliveries

    assert (ann.id, ann.batch_number, ann.attempt_number) == (IDS.delivery(message_id, 1, 0), 1, 1)
    assert (ann.recipient_id, ann.recipient_name) == ("ann", "Ann")
    assert ann.status == DeliveryStatus.DELIVERY_STATUS_FAILED
    assert ann.error == DeliveryError(
        code=100, subcode=2018001, message="no luck", type=ErrorType.ERROR_TYPE_INVALID_RECIPIENT
    )
    assert ann.failed_time.ToMicroseconds() == micros(NOW)
    assert bob.status == DeliveryStatus.DELIVERY_STATUS_SENT
    assert bob.provider_message_id == "mid.1"
    assert bob.sent_time.ToMicroseconds() == micros(NOW)
    assert not bob.HasField("error")
    assert not bob.HasField("failed_time")
    assert cid.status == DeliveryStatus.DELIVERY_STATUS_UNCONFIRMED


async def test_attempts_are_filtered_by_recipient_status_and_error(edge: Edge) -> None:
    message_id = await send(edge, "ann", "bob", "cid")
    await edge.deliver(message_id, {"ann": FAILED_FOR_GOOD, "cid": UNCONFIRMED})

    async def listed(**fields: Any) -> list[str]:
        answer = await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id, **fields))
        return [delivery.recipient_id for delivery in answer.deliveries]

    assert await listed(recipient_id="bob") == ["bob"]
    assert await listed(statuses=[DeliveryStatus.DELIVERY_STATUS_SENT]) == ["bob"]
    assert await listed(error_types=[ErrorType.ERROR_TYPE_NETWORK] * 100) == ["cid"]


async def test_attempts_are_listed_by_batch_and_position_in_pages(edge: Edge) -> None:
    message_id = await send_to_many(edge, 250)
    found, token = [], ""
    while True:
        request = ListDeliveriesRequest(message_id=message_id, page_size=90, page_token=token)
        answer = await edge.delivery.ListDeliveries(request)
        found += [delivery.recipient_id for delivery in answer.deliveries]
        if not (token := answer.next_page_token):
            break

    assert found == [f"u{number:04}" for number in range(250)]


async def test_a_list_has_a_hundred_rows_by_default(edge: Edge) -> None:
    message_id = await send_to_many(edge, 101)

    answer = await edge.delivery.ListDeliveries(ListDeliveriesRequest(message_id=message_id))

    assert len(answer.deliveries) == 100


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ListBatches", ListBatchesRequest(message_id="m")),
        ("ListDeliveries", ListDeliveriesRequest(message_id="m")),
        ("ListFailed", ListFailedRequest(message_id="m")),
    ],
)
async def test_lists_of_an_unknown_message_are_not_found(edge: Edge, method: str, request_: Any) -> None:
    refusal = await refusal_of(getattr(edge.delivery, method)(request_))

    assert refusal.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("ListMessages", ListMessagesRequest(page_token="garbled")),
        ("ListBatches", ListBatchesRequest(message_id="m", page_token="garbled")),
        ("ListDeliveries", ListDeliveriesRequest(message_id="m", page_token="garbled")),
        ("ListFailed", ListFailedRequest(message_id="m", page_token="garbled")),
    ],
)
async def test_a_garbled_token_is_an_invalid_argument(edge: Edge, method: str, request_: Any) -> None:
    refusal = await refusal_of(getattr(edge.delivery, method)(request_))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.violations == {"page_token": "is not a token of this server"}


async def test_a_token_of_another_filter_is_an_invalid_argument(edge: Edge) -> None:
    for _ in range(2):
        await send(edge)
    token = (await edge.delivery.ListMessages(ListMessagesRequest(page_size=1))).next_page_token

    request = ListMessagesRequest(page_size=1, page_token=token, with_failures=True)
    refusal = await refusal_of(edge.delivery.ListMessages(request))

    assert list(refusal.violations) == ["page_token"]
