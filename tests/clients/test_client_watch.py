"""A watch continues across lost connections and restarts, and ends with the message."""

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from redrive import Client, DeadlineExceeded, NotFound, Unavailable
from redrive.connection import Backoff
from redrive.v1.delivery_service_pb2 import WatchProgressResponse
from redrive.v1.message_pb2 import Counts, MessageStatus
from redrive.v1.progress_pb2 import Progress

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def going_on(sequence: int) -> WatchProgressResponse:
    progress = Progress(status=MessageStatus.MESSAGE_STATUS_SENDING, counts=Counts(total=9, pending=9))
    return WatchProgressResponse(sequence=sequence, progress=progress)


def done(sequence: int) -> WatchProgressResponse:
    progress = Progress(status=MessageStatus.MESSAGE_STATUS_SENT, counts=Counts(total=9, sent=9))
    return WatchProgressResponse(sequence=sequence, progress=progress)


async def sequences(client: Client) -> list[int]:
    return [answer.sequence async for answer in client.watch_progress("m1")]


async def test_a_watch_ends_when_the_message_is_done(server: "ScriptedServer", client: Client) -> None:
    server.stream(going_on(1), going_on(2), done(3))

    assert await sequences(client) == [1, 2, 3]
    assert len(server.asked("WatchProgress")) == 1


async def test_watch_continues_after_the_server_was_unavailable(server: "ScriptedServer", client: Client) -> None:
    server.stream(server.refusal(UNAVAILABLE))
    server.stream(going_on(1), server.refusal(UNAVAILABLE))
    server.stream(going_on(2), done(3))

    assert await sequences(client) == [1, 2, 3]


async def test_a_watch_never_goes_back(server: "ScriptedServer", client: Client) -> None:
    server.stream(going_on(5), server.refusal(UNAVAILABLE))
    server.stream(going_on(3), going_on(4), going_on(5), done(6))

    assert await sequences(client) == [5, 5, 6]


async def test_a_stream_that_ends_before_the_message_is_done_is_opened_again(
    server: "ScriptedServer", client: Client
) -> None:
    server.stream(going_on(1))
    server.stream(going_on(1), done(2))

    assert await sequences(client) == [1, 1, 2]


async def test_a_message_between_two_rounds_is_not_done(server: "ScriptedServer", client: Client) -> None:
    between = Progress(status=MessageStatus.MESSAGE_STATUS_SENDING, counts=Counts(total=9, failed=9))
    server.stream(WatchProgressResponse(sequence=1, progress=between))
    server.stream(done(2))

    assert await sequences(client) == [1, 2]


async def test_watch_continues_while_the_server_responds_occasionally(server: "ScriptedServer", client: Client) -> None:
    client._connection.timeout = 0.2  # shorter than the sum of all waits, longer than each
    for _ in range(12):
        server.stream(going_on(1), server.refusal(UNAVAILABLE))
    server.stream(done(2))

    assert (await sequences(client))[-1] == 2


async def test_lost_connection_after_a_final_response_does_not_end_the_watch(
    server: "ScriptedServer", client: Client
) -> None:
    server.stream(done(1), server.refusal(UNAVAILABLE))
    server.stream(going_on(2), done(3))

    assert await sequences(client) == [1, 2, 3]


async def test_watch_continues_after_a_restart_of_the_server(server: "ScriptedServer", client: Client) -> None:
    server.stream(going_on(1), server.silence())
    server.stream(going_on(2), done(3))
    seen = []

    async for answer in client.watch_progress("m1"):
        seen.append(answer.sequence)
        if answer.sequence == 1:
            await server.stop()
            await server.start()

    assert seen == [1, 2, 3]


async def test_a_silent_stream_is_opened_again(server: "ScriptedServer", client: Client) -> None:
    client._connection.timeout = 0.2
    server.stream(going_on(1), server.silence())
    server.stream(done(2))

    assert await sequences(client) == [1, 2]


async def test_a_watch_gives_up_when_the_server_stays_silent(server: "ScriptedServer", client: Client) -> None:
    client._connection.timeout = 0.1
    server.stream(server.silence())

    with pytest.raises(DeadlineExceeded):
        await sequences(client)


async def test_watch_gives_up_when_the_server_stays_unavailable(server: "ScriptedServer", client: Client) -> None:
    client._connection.timeout = 0.3
    server.stream(going_on(1), server.refusal(UNAVAILABLE))
    server.stream(server.refusal(UNAVAILABLE, message="still away"))

    with pytest.raises(Unavailable, match="still away"):
        await sequences(client)


async def test_unavailable_server_gets_the_usual_number_of_attempts(server: "ScriptedServer", client: Client) -> None:
    server.stream(server.refusal(UNAVAILABLE))

    with pytest.raises(Unavailable):
        await sequences(client)

    assert len(server.asked("WatchProgress")) == Backoff().attempts


async def test_unknown_message_raises_at_once(server: "ScriptedServer", client: Client) -> None:
    server.stream(server.refusal(grpc.StatusCode.NOT_FOUND))

    with pytest.raises(NotFound):
        await sequences(client)

    assert len(server.asked("WatchProgress")) == 1


async def test_closing_a_watch_closes_its_stream(server: "ScriptedServer", client: Client) -> None:
    server.stream(going_on(1), server.silence())
    watch = client.watch_progress("m1")

    assert (await anext(watch)).sequence == 1
    await watch.aclose()

    await asyncio.wait_for(server.no_stream_is_open.wait(), 5)
