"""Reading of requests: after authentication, within size and time limits, and without delaying others."""

import asyncio
import zlib
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    ListMessagesRequest,
    Recipients,
    SendRequest,
    SendStreamRequest,
)
from server.api.interceptors.gate import Gate
from server.api.interceptors.limits import Limits
from server.api.interceptors.request_reader import MAX_ELEMENTS
from server.auth.caller import Scope
from tests.e2e.raw_http2 import Call, RawConnection, bomb, crowded, half_sent
from tests.server.api.edge import Edge, running_edge
from tests.server.api.known_callers import Callers, guarded_edge, token_metadata
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request, stream_header
from tests.waiting import eventually

MIB = 1 << 20
WINDOW = 64 * 1024  # bytes that gRPC accepts of a request that is not read
SEND = "/redrive.v1.DeliveryService/Send"
LIST = "/redrive.v1.DeliveryService/ListMessages"


@asynccontextmanager
async def calling(edge: Edge, *calls: Call, seconds: float = 1.0) -> AsyncIterator[RawConnection]:
    """Make the calls in the background."""
    connection = RawConnection(int(edge.address.rpartition(":")[2]))
    for call in calls:
        connection.begin(call)
    running = asyncio.ensure_future(asyncio.to_thread(connection.run, seconds))
    try:
        yield connection
    finally:
        await running
        connection.close()


async def test_a_request_of_an_unknown_caller_is_refused_unread(tmp_path: Path) -> None:
    async with (
        guarded_edge(Callers(tmp_path)) as edge,
        calling(edge, *[half_sent(SEND, 8 * MIB)] * 10) as connection,
    ):
        await eventually(lambda: ended(connection, 10))

    assert connection.sent <= 10 * WINDOW


async def sent(edge: Edge, *requests: bytes, method: str = SEND) -> object:
    """Return the answer to raw bytes of a unary call."""
    call: Any = edge.wire.stream_unary(method)
    return await call(iter(requests))


async def ended(connection: RawConnection, calls: int) -> bool:
    return len(connection.ended) == calls


async def test_a_request_without_its_last_byte_is_ended(tmp_path: Path) -> None:
    gate = Gate(limits=Limits(read_seconds=0.1))
    with capture_logs() as logs:
        async with running_edge(tmp_path, gate=gate) as edge, calling(edge, half_sent(SEND, MIB)) as connection:
            await eventually(lambda: ended(connection, 1))

    assert await codes_in(logs) == ["DEADLINE_EXCEEDED"]


async def test_a_slow_request_is_ended_for_others_of_its_caller(edge: Edge) -> None:
    async with calling(edge, *[half_sent(SEND, MIB)] * 8) as connection:
        await eventually(lambda: has_sent(connection))

        await asyncio.wait_for(edge.delivery.ListMessages(ListMessagesRequest()), 5)


async def has_sent(connection: RawConnection) -> bool:
    return connection.sent > MIB / 2


async def test_a_large_request_is_read_while_no_other_waits(edge: Edge) -> None:
    refusal = await refusal_of(edge.delivery.Send(send_request(title="x" * MIB)))

    assert list(refusal.violations) == ["title"]


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests_are_read(edge: Edge, compression: grpc.Compression) -> None:
    refusal = await refusal_of(edge.delivery.Send(send_request(title="x" * 100_000), compression=compression))

    assert list(refusal.violations) == ["title"]


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_request_that_is_too_large_when_inflated_is_refused(
    tmp_path: Path, compression: grpc.Compression
) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=Limits(request_bytes=MIB))) as edge:
        refusal = await refusal_of(edge.delivery.Send(send_request(title="x" * MIB), compression=compression))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")
    assert "1,048,576" in refusal.message


async def codes_in(logs: Sequence[MutableMapping[str, Any]]) -> list[str]:
    return [line["code"] for line in logs if line["event"] == "rpc_finished"]


async def test_a_request_with_a_wrong_compressed_size_is_not_inflated(edge: Edge) -> None:
    true = bomb(SEND, 100_000)
    wrong_size = true._replace(body=true.body[:-4] + (10).to_bytes(4, "little"))
    with capture_logs() as logs:
        async with calling(edge, wrong_size) as connection:
            await eventually(lambda: ended(connection, 1))
        codes = await eventually(lambda: codes_in(logs))

    assert codes == ["RESOURCE_EXHAUSTED"]


@pytest.mark.parametrize(
    "garbled", [b"\x1f\x8b\x08" + bytes(20), zlib.compress(bytes(100))[:-1], b"\x78\x9c", b"\x1f\x8b"]
)
async def test_invalid_compressed_data_is_an_invalid_argument(edge: Edge, garbled: bytes) -> None:
    refusal = await refusal_of(sent(edge, garbled))

    assert (refusal.code, list(refusal.violations)) == (grpc.StatusCode.INVALID_ARGUMENT, ["request"])


async def test_most_requests_are_small(edge: Edge) -> None:
    refusal = await refusal_of(edge.delivery.GetMessage(GetMessageRequest(message_id="m" * 65_536)))

    assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE")


async def test_a_call_without_a_request_is_refused(edge: Edge) -> None:
    refusal = await refusal_of(sent(edge))

    assert (refusal.code, list(refusal.violations)) == (grpc.StatusCode.INVALID_ARGUMENT, ["request"])


async def test_the_first_of_two_requests_of_one_call_is_answered(edge: Edge) -> None:
    request = ListMessagesRequest().SerializeToString()

    assert await sent(edge, request, b"\xff", method=LIST) == b""


async def test_a_request_of_millions_of_parts_is_refused(edge: Edge) -> None:
    refusal = await refusal_of(sent(edge, crowded(SEND, 6 * MIB).body))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"{MAX_ELEMENTS:,}" in refusal.violations["request"]


async def test_millions_of_recipients_are_refused_like_ten_thousand_and_one(edge: Edge) -> None:
    request = SendRequest.FromString(crowded(SEND, 3 * MIB).body)
    request.MergeFrom(send_request(recipients=()))

    assert "recipients" in (await refusal_of(edge.delivery.Send(request))).violations


async def test_a_stream_without_messages_is_ended_and_leaves_no_keys(tmp_path: Path) -> None:
    async with running_edge(tmp_path, gate=Gate(limits=Limits(stream_idle_seconds=0.5))) as edge:
        stream = edge.delivery.SendStream()
        await stream.write(SendStreamRequest(header=stream_header()))
        people = [Recipient(id=f"u{number}", name="Ann") for number in range(1_000)]
        await stream.write(SendStreamRequest(recipients=Recipients(recipients=people)))
        await eventually(lambda: edge.rows("person_keys"))

        refusal = await refusal_of(stream)

        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "CALL_TOO_LONG")
        assert (await edge.rows("message_keys"), await edge.rows("person_keys")) == (0, 0)


async def test_a_caller_has_a_limited_number_of_send_streams(tmp_path: Path) -> None:
    callers = Callers(tmp_path)
    one, other = (token_metadata(callers.token(owner, Scope.SEND)) for owner in ("one", "other"))
    async with guarded_edge(callers, gate=callers.gate(Limits(send_streams_per_caller=2))) as edge:
        opened = [await opened_stream(edge, f"r-{number}", one) for number in range(2)]

        refusal = await refusal_of(edge.delivery.SendStream(metadata=one))

        assert (refusal.code, refusal.info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SEND_STREAMS")
        assert refusal.retry.retry_delay.seconds > 0
        opened.append(await opened_stream(edge, "r-2", other))
        for stream in opened:
            stream.cancel()
        await eventually(lambda: edge.rows("message_keys"), lambda rows: rows == 0)


async def opened_stream(edge: Edge, request_id: str, token: Any) -> Any:
    """Open a SendStream that is staged in the log."""
    before = await edge.rows("message_keys")
    stream = edge.delivery.SendStream(metadata=token)
    await stream.write(SendStreamRequest(header=stream_header(request_id=request_id)))
    await eventually(lambda: edge.rows("message_keys"), lambda rows: rows == before + 1)
    return stream
