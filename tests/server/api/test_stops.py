"""Message.stop and StopPolicy."""

import pytest

from domain.classification import PlatformError, classify
from domain.message_events import MessageStopped
from domain.outcome import Failed
from domain.stop_policy import Stop, StopCause
from domain.streams import message_stream
from redrive.v1 import message_pb2
from redrive.v1.delivery_service_pb2 import (
    GetMessageRequest,
    PauseMessageRequest,
    ResumeMessageRequest,
    StopPolicy,
)
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus
from server.commands.lookup import load_message
from server.eventstore.commit import Commit, Committed, StreamEvents
from tests.builders import NOW
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request


async def stopped(edge: Edge) -> str:
    """Create a message that the service stopped because the platform cannot fetch its image; return its id."""
    message_id = (await edge.delivery.Send(send_request())).message.id
    failed = classify(PlatformError(code=100, subcode=2018008, message="Failed to fetch the file"))
    assert isinstance(failed, Failed)
    stop = Stop(cause=StopCause.CONTENT, fault=failed.fault, failed=89, attempts=99)
    message = await load_message(edge.log, message_id)
    event = MessageStopped(message_id=message_id, stop=stop, time=NOW)
    commit = Commit([StreamEvents(message_stream(message_id), message.version, [event])])
    assert isinstance(await edge.log.commit(commit), Committed)
    return message_id


async def test_a_stopped_message_is_paused_and_shows_its_stop(edge: Edge) -> None:
    message_id = await stopped(edge)

    message = (await edge.delivery.GetMessage(GetMessageRequest(message_id=message_id))).message

    assert message.status == MessageStatus.MESSAGE_STATUS_PAUSED
    assert message.stop.cause == message_pb2.STOP_CAUSE_CONTENT
    assert message.stop.error_type == ErrorType.ERROR_TYPE_OTHER
    assert (message.stop.error_code, message.stop.error_subcode) == (100, 2018008)
    assert message.stop.error_message == "Failed to fetch the file"
    assert (message.stop.failed, message.stop.attempts) == (89, 99)
    assert message.stop.time.ToMicroseconds() == int(NOW.timestamp() * 1e6)


async def test_a_resume_ends_the_stop_and_a_manual_pause_has_none(edge: Edge) -> None:
    message_id = await stopped(edge)

    resumed = (await edge.delivery.ResumeMessage(ResumeMessageRequest(message_id=message_id))).message
    paused = (await edge.delivery.PauseMessage(PauseMessageRequest(message_id=message_id))).message

    assert (resumed.status, resumed.HasField("stop")) == (MessageStatus.MESSAGE_STATUS_PENDING, False)
    assert (paused.status, paused.HasField("stop")) == (MessageStatus.MESSAGE_STATUS_PAUSED, False)


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (StopPolicy(max_failure_share=-0.1), "stop_policy.max_failure_share"),
        (StopPolicy(max_failure_share=1.1), "stop_policy.max_failure_share"),
        (StopPolicy(max_failure_share=float("nan")), "stop_policy.max_failure_share"),
        (StopPolicy(min_attempts=-1), "stop_policy.min_attempts"),
    ],
)
async def test_an_invalid_policy_is_refused_by_field(edge: Edge, policy: StopPolicy, field: str) -> None:
    refusal = await refusal_of(edge.delivery.Send(send_request(stop_policy=policy)))

    assert list(refusal.violations) == [field]


async def test_the_same_request_with_another_policy_is_another_request(edge: Edge) -> None:
    await edge.delivery.Send(send_request(request_id="r-1"))

    refusal = await refusal_of(
        edge.delivery.Send(send_request(request_id="r-1", stop_policy=StopPolicy(min_attempts=7)))
    )

    assert refusal.info.reason == "REQUEST_ID_REUSED"
