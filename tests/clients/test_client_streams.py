"""Sends of any size."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import grpc
import pytest

from redrive import Client, InvalidRequest, Unavailable
from redrive.v1.content_pb2 import Recipient
from redrive.v1.delivery_service_pb2 import SendRequest, SendStreamResponse
from redrive.v1.message_pb2 import Message

if TYPE_CHECKING:
    from tests.clients.conftest import ScriptedServer

HEADER = SendRequest(page_id="1", request_id="once")
ANSWER = SendStreamResponse(message=Message(id="m1"))


def recipients(count: int) -> list[Recipient]:
    return [Recipient(id=str(number)) for number in range(count)]


async def slowly(items: list[Recipient]) -> AsyncIterator[Recipient]:
    for item in items:
        yield item


def received(server: "ScriptedServer") -> list[str]:
    return [recipient.id for part in server.parts for recipient in part.recipients.recipients]


async def test_the_header_goes_first_and_recipients_in_parts_of_a_thousand(
    server: "ScriptedServer", client: Client
) -> None:
    server.answer("SendStream", ANSWER)

    answer = await client.send_stream(HEADER, recipients(2_500))

    assert answer.message.id == "m1"
    assert server.parts[0].header == HEADER
    assert [len(part.recipients.recipients) for part in server.parts[1:]] == [1_000, 1_000, 500]
    assert received(server) == [recipient.id for recipient in recipients(2_500)]


async def test_recipients_may_come_asynchronously(server: "ScriptedServer", client: Client) -> None:
    server.answer("SendStream", ANSWER)

    await client.send_stream(HEADER, slowly(recipients(3)))

    assert received(server) == ["0", "1", "2"]


async def test_parts_stay_small_enough_for_the_server_when_recipients_are_large(
    server: "ScriptedServer", client: Client
) -> None:
    server.answer("SendStream", ANSWER)
    large = [Recipient(id=str(number), variables=dict.fromkeys("abc", "x" * 1_000)) for number in range(1_000)]

    await client.send_stream(HEADER, large)

    assert max(part.ByteSize() for part in server.parts) < 1_100_000
    assert received(server) == [recipient.id for recipient in large]


async def test_a_list_is_sent_again_under_the_same_request_id(server: "ScriptedServer", client: Client) -> None:
    server.refuse("SendStream", grpc.StatusCode.UNAVAILABLE)
    server.answer("SendStream", ANSWER)

    answer = await client.send_stream(SendRequest(page_id="1"), recipients(2))

    first, second = (part.header.request_id for part in server.parts if part.HasField("header"))
    assert answer.message.id == "m1"
    assert first == second != ""
    assert received(server)[-2:] == ["0", "1"]


async def test_generator_is_not_sent_again(server: "ScriptedServer", client: Client) -> None:
    server.refuse("SendStream", grpc.StatusCode.UNAVAILABLE)

    with pytest.raises(Unavailable):
        await client.send_stream(HEADER, iter(recipients(2)))

    assert len([part for part in server.parts if part.HasField("header")]) == 1


async def test_a_refused_header_ends_the_sending(server: "ScriptedServer", client: Client) -> None:
    server.refuse("SendStream", grpc.StatusCode.INVALID_ARGUMENT, message="page_id is required")
    endless = (Recipient(id=str(number)) for number in itertools.count())

    with pytest.raises(InvalidRequest, match="page_id is required"):
        await client.send_stream(HEADER, endless)


async def test_error_while_reading_recipients_is_raised_and_ends_the_stream(
    server: "ScriptedServer", client: Client
) -> None:
    server.answer("SendStream", server.silence())

    def broken() -> Iterator[Recipient]:
        yield from recipients(1_500)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await client.send_stream(HEADER, broken())

    await asyncio.wait_for(server.a_stream_broke_off.wait(), 5)
