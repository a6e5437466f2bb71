"""Retries of calls while the server is unavailable."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from redrive import Client, DeadlineExceeded, NotFound, Unavailable
from redrive.connection import Backoff
from redrive.v1.delivery_service_pb2 import (
    CancelMessageResponse,
    GetMessageResponse,
    PauseMessageResponse,
    ResendRequest,
    ResendResponse,
    ResumeMessageResponse,
    SendRequest,
    SendResponse,
)
from redrive.v1.message_pb2 import Message
from redrive.v1.page_service_pb2 import PutPageRequest, PutPageResponse
from redrive.v1.retry_service_pb2 import ProcessBatchesResponse, RunScheduledRetriesResponse

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
FOUND = GetMessageResponse(message=Message(id="m1"))

Write = Callable[[Client], Awaitable[object]]
WRITES: list[tuple[str, object, Write]] = [
    ("Send", SendResponse(), lambda client: client.send(SendRequest(page_id="1"))),
    ("Resend", ResendResponse(), lambda client: client.resend(ResendRequest(message_id="m1"))),
    ("PauseMessage", PauseMessageResponse(), lambda client: client.pause_message("m1")),
    ("ResumeMessage", ResumeMessageResponse(), lambda client: client.resume_message("m1")),
    ("CancelMessage", CancelMessageResponse(), lambda client: client.cancel_message("m1")),
    ("PutPage", PutPageResponse(), lambda client: client.put_page(PutPageRequest(page_id="1"))),
]


async def test_read_is_repeated_until_the_server_is_available(server: "ScriptedServer", client: Client) -> None:
    server.refuse("GetMessage", UNAVAILABLE)
    server.refuse("GetMessage", UNAVAILABLE)
    server.answer("GetMessage", FOUND)

    assert (await client.get_message("m1")).id == "m1"
    assert len(server.asked("GetMessage")) == 3


async def test_a_call_waits_as_long_as_the_server_asks_for(server: "ScriptedServer", client: Client) -> None:
    server.refuse("GetMessage", UNAVAILABLE, RetryInfo(retry_delay=Duration(nanos=200_000_000)))
    server.answer("GetMessage", FOUND)
    start = time.monotonic()

    await client.get_message("m1")

    assert time.monotonic() - start >= 0.2


async def test_wait_beyond_the_deadline_is_raised_to_the_caller(server: "ScriptedServer", client: Client) -> None:
    server.refuse("GetMessage", UNAVAILABLE, RetryInfo(retry_delay=Duration(seconds=60)))
    start = time.monotonic()

    with pytest.raises(Unavailable) as raised:
        await client.get_message("m1")

    assert raised.value.retry_after == 60
    assert time.monotonic() - start < 1


async def test_attempts_are_bounded(server: "ScriptedServer", client: Client) -> None:
    server.refuse("GetMessage", UNAVAILABLE)

    with pytest.raises(Unavailable):
        await client.get_message("m1")

    assert len(server.asked("GetMessage")) == Backoff().attempts


async def test_other_errors_are_final(server: "ScriptedServer", client: Client) -> None:
    server.refuse("GetMessage", grpc.StatusCode.NOT_FOUND)

    with pytest.raises(NotFound):
        await client.get_message("m1")

    assert len(server.asked("GetMessage")) == 1


async def test_silent_server_raises_at_the_deadline(server: "ScriptedServer") -> None:
    server.answer("GetMessage", server.silence())

    async with Client(server.target, timeout=0.2) as client:
        with pytest.raises(DeadlineExceeded):
            await client.get_message("m1")


async def test_a_restarted_server_is_found_again(server: "ScriptedServer", client: Client) -> None:
    server.answer("GetMessage", FOUND)
    await client.get_message("m1")
    client._connection.backoff = Backoff(attempts=50)
    await server.stop()
    asked = client.get_message("m1")
    await server.start()

    assert (await asked).id == "m1"


@pytest.mark.parametrize(("rpc", "answer", "write"), WRITES, ids=[rpc for rpc, _, _ in WRITES])
async def test_repeated_write_keeps_its_generated_request_id(
    server: "ScriptedServer", client: Client, rpc: str, answer: Any, write: Write
) -> None:
    server.refuse(rpc, UNAVAILABLE)
    server.answer(rpc, answer)

    await write(client)
    await write(client)

    first, repeated, second = (request.request_id for request in server.asked(rpc))
    assert first == repeated != ""
    assert second != first


async def test_callers_request_id_is_kept_and_the_request_unchanged(server: "ScriptedServer", client: Client) -> None:
    server.answer("Send", SendResponse())
    unnamed = SendRequest(page_id="1")

    await client.send(SendRequest(page_id="1", request_id="mine"))
    await client.send(unnamed)

    assert server.asked("Send")[0].request_id == "mine"
    assert unnamed == SendRequest(page_id="1")


async def test_writes_without_a_request_id_are_never_repeated(server: "ScriptedServer", client: Client) -> None:
    server.refuse("RunScheduledRetries", UNAVAILABLE)
    server.answer("RunScheduledRetries", RunScheduledRetriesResponse())
    server.refuse("ProcessBatches", UNAVAILABLE)
    server.answer("ProcessBatches", ProcessBatchesResponse())

    with pytest.raises(Unavailable):
        await client.run_scheduled_retries()
    with pytest.raises(Unavailable):
        await client.process_batches("m1")

    assert len(server.requests) == 2


async def test_the_token_goes_with_every_call(server: "ScriptedServer") -> None:
    server.answer("GetMessage", FOUND)

    async with Client(server.target, token="t0k") as client:
        await client.get_message("m1")

    assert server.metadata[0]["authorization"] == "Bearer t0k"


@pytest.mark.parametrize("failures", [1, 3, 10, 5_000])
def test_waits_double_up_to_a_bound_and_are_spread(failures: int) -> None:
    backoff = Backoff(first=0.1, longest=5.0)
    step = min(5.0, 0.1 * 2 ** min(failures - 1, 20))

    waits = {backoff.wait(failures, None) for _ in range(20)}

    assert all(step / 2 <= wait <= step for wait in waits)
    assert len(waits) > 1
    assert backoff.wait(failures, 7.5) == 7.5
