"""WatchProgress."""

from datetime import timedelta

import grpc
import grpc.aio
import msgspec
import pytest

from domain.errors import MessageNotFound
from domain.fault import ErrorType as Kind
from domain.retry import RetryPolicy, RetryType
from projections.sql import micros
from redrive.v1.delivery_service_pb2 import WatchProgressRequest, WatchProgressResponse
from redrive.v1.error_pb2 import ErrorType, ErrorTypeCount
from redrive.v1.message_pb2 import Counts, MessageStatus
from server.commands.lookup import require_message
from server.progress.progress import Progress
from tests.builders import FAILED, NOW, OWNER, after
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal, refusal_of
from tests.server.api.requests import send_request


async def progress_of_a_message(edge: Edge) -> Progress:
    message_id = (await edge.delivery.Send(send_request("ann", "bob", "cid"))).message.id
    await edge.deliver(message_id, {"ann": FAILED})
    return Progress(
        sequence=17,
        time=NOW,
        message=await edge.log.read(lambda sql: require_message(sql, OWNER, message_id)),
        error_types={Kind.NETWORK: 1},
        messages_per_second=2.5,
        eta=timedelta(seconds=1.5),
    )


async def watched(edge: Edge, message_id: str = "m-1") -> list[WatchProgressResponse]:
    return [answer async for answer in edge.delivery.WatchProgress(WatchProgressRequest(message_id=message_id))]


async def test_each_progress_is_sent_and_the_call_ends_with_the_watch(edge: Edge) -> None:
    progress = await progress_of_a_message(edge)
    edge.hub.shown = [progress, progress]

    answer, heartbeat = await watched(edge, progress.message.message_id)

    assert heartbeat == answer
    assert answer.sequence == 17
    assert answer.time.ToMicroseconds() == micros(NOW)
    progress_sent = answer.progress
    assert progress_sent.message_id == progress.message.message_id
    assert progress_sent.status == MessageStatus.MESSAGE_STATUS_SENDING
    assert progress_sent.counts == Counts(total=3, sent=2, failed=1)
    assert (progress_sent.batches_total, progress_sent.batches_completed, progress_sent.round) == (1, 1, 0)
    assert (progress_sent.messages_per_second, progress_sent.eta.ToTimedelta()) == (2.5, timedelta(seconds=1.5))
    assert list(progress_sent.error_type_counts) == [ErrorTypeCount(error_type=ErrorType.ERROR_TYPE_NETWORK, count=1)]
    assert edge.hub.watched == [(OWNER, progress.message.message_id)]


async def test_the_last_answer_has_the_timers_next_retry(edge: Edge) -> None:
    going_on = await progress_of_a_message(edge)
    policy = RetryPolicy(type=RetryType.CRON)
    done = msgspec.structs.replace(going_on.message, retry_policy=policy, completed=True)
    under_way = msgspec.structs.replace(done, completed=False)
    edge.hub.shown = [msgspec.structs.replace(going_on, message=message) for message in (under_way, done)]

    first, last = await watched(edge, done.message_id)

    assert not first.progress.HasField("next_retry_time")
    assert last.progress.next_retry_time.ToMicroseconds() == micros(after(900))


async def test_an_unknown_message_is_not_found(edge: Edge) -> None:
    edge.hub.error = MessageNotFound("m-1")

    assert (await refusal_of(watched(edge))).code is grpc.StatusCode.NOT_FOUND


async def test_a_request_without_a_message_is_an_invalid_argument(edge: Edge) -> None:
    refused = await refusal_of(watched(edge, ""))

    assert refused.violations == {"message_id": "is required"}
    assert edge.hub.watched == []


async def test_a_cancelled_watch_leaves_the_hub(edge: Edge) -> None:
    edge.hub.waits = True
    call = edge.delivery.WatchProgress(WatchProgressRequest(message_id="m-1"))
    await edge.hub.waiting.wait()

    call.cancel()

    await edge.hub.left.wait()


async def test_a_stopping_server_ends_its_watches_at_once(edge: Edge) -> None:
    edge.hub.waits = True
    edge.hub.shown = [await progress_of_a_message(edge)]
    call = edge.delivery.WatchProgress(WatchProgressRequest(message_id="m-1"))
    assert isinstance(await call.read(), WatchProgressResponse)
    await edge.hub.waiting.wait()

    await edge.server.stop(timedelta(seconds=60))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    refused = refusal(caught.value)
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    assert refused.info.reason == "SERVER_STOPS"
    assert refused.retry.retry_delay.ToTimedelta() > timedelta(0)
    await edge.hub.left.wait()
