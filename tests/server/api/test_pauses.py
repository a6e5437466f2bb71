"""PauseMessage and ResumeMessage."""

from typing import Any

import grpc
import pytest

from domain import message as messages
from domain.streams import message_stream
from redrive.v1.delivery_service_pb2 import (
    CancelMessageRequest,
    ListMessagesRequest,
    PauseMessageRequest,
    ResumeMessageRequest,
)
from redrive.v1.message_pb2 import MessageStatus
from server.commands.lookup import load_message
from tests.builders import NOW
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request

PAUSED, PENDING = MessageStatus.MESSAGE_STATUS_PAUSED, MessageStatus.MESSAGE_STATUS_PENDING
BOTH = pytest.mark.parametrize(
    ("method", "request_"), [("PauseMessage", PauseMessageRequest), ("ResumeMessage", ResumeMessageRequest)]
)


async def sent(edge: Edge) -> str:
    return (await edge.delivery.Send(send_request())).message.id


async def test_every_pause_answers_the_paused_message(edge: Edge) -> None:
    message_id = await sent(edge)
    request = PauseMessageRequest(message_id=message_id, request_id="p-1")

    message = (await edge.delivery.PauseMessage(request)).message

    assert (message.status, message.counts.pending) == (PAUSED, 2)
    assert (await edge.delivery.PauseMessage(request)).message == message
    listed = await edge.delivery.ListMessages(ListMessagesRequest(statuses=[PAUSED]))
    assert [one.id for one in listed.messages] == [message_id]


async def test_every_resume_answers_the_resumed_message(edge: Edge) -> None:
    message_id = await sent(edge)
    await edge.delivery.PauseMessage(PauseMessageRequest(message_id=message_id))

    for _ in range(2):
        request = ResumeMessageRequest(message_id=message_id)
        assert (await edge.delivery.ResumeMessage(request)).message.status == PENDING


@BOTH
async def test_an_unknown_message_cannot_be_paused_or_resumed(edge: Edge, method: str, request_: Any) -> None:
    refusal = await refusal_of(getattr(edge.delivery, method)(request_(message_id="no such message")))

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.info.reason == "MESSAGE_NOT_FOUND"


@BOTH
async def test_a_cancel_is_final(edge: Edge, method: str, request_: Any) -> None:
    message_id = await sent(edge)
    await edge.delivery.CancelMessage(CancelMessageRequest(message_id=message_id))

    refusal = await refusal_of(getattr(edge.delivery, method)(request_(message_id=message_id)))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "MESSAGE_CANCELLED"
    assert refusal.precondition.violations[0].subject == f"messages/{message_id}"


async def test_a_done_message_cannot_be_paused(edge: Edge) -> None:
    message_id = await sent(edge)
    await edge.deliver(message_id, {})
    message = await load_message(edge.log, message_id)
    completed = messages.complete(message, open_deliveries=0, now=NOW)
    await edge.commit(message_stream(message_id), message.version, completed)

    refusal = await refusal_of(edge.delivery.PauseMessage(PauseMessageRequest(message_id=message_id)))

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.info.reason == "MESSAGE_DONE"


async def test_the_same_request_id_for_another_message_is_refused(edge: Edge) -> None:
    one, two = await sent(edge), await sent(edge)
    await edge.delivery.PauseMessage(PauseMessageRequest(message_id=one, request_id="p-1"))

    refusal = await refusal_of(edge.delivery.PauseMessage(PauseMessageRequest(message_id=two, request_id="p-1")))

    assert refusal.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal.info.reason == "REQUEST_ID_REUSED"
