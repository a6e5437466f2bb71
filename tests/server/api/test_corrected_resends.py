"""Resend with a corrected content."""

import grpc
import pytest

from domain.fault import ErrorType, RetryRule
from domain.outcome import Failed
from redrive.v1 import error_pb2
from redrive.v1.content_pb2 import Attachment, AttachmentType, Content, QuickReply
from redrive.v1.delivery_service_pb2 import ListEventsRequest
from redrive.v1.resend_pb2 import ListRetriesRequest, ResendCause, ResendPrediction
from tests.builders import FAILED, fault
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import resend, send_request, template

BAD_CONTENT = Failed(fault(ErrorType.OTHER, RetryRule.NEVER, code=100, subcode=2018008))
IMAGE = Attachment(type=AttachmentType.ATTACHMENT_TYPE_IMAGE, url="https://example.org/mended.png")


async def failed(edge: Edge) -> str:
    """Create a message with two failures of three, one of them by its content; return its id."""
    message_id = (await edge.delivery.Send(send_request("ann", "bob", "cid"))).message.id
    await edge.deliver(message_id, {"ann": BAD_CONTENT, "bob": FAILED})
    return message_id


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (Content(), ["content.text"]),
        (Content(text="x" * 2_001), ["content.text"]),
        (Content(text="{{name}", attachment=IMAGE), ["content.text"]),
        (
            Content(attachment=Attachment(type=AttachmentType.ATTACHMENT_TYPE_IMAGE, url="ftp://x")),
            ["content.attachment.url"],
        ),
        (Content(text="Hi", quick_replies=[QuickReply(title="x" * 21)]), ["content.quick_replies[0].title"]),
        (template(a="x" * 70_000).content, ["content.attachment.template"]),
        (template(a=[0] * 1_001).content, ["content.attachment.template"]),
        (Content(text="Hi {{street}}"), ["content.text"]),
        (Content(text="Hi", quick_replies=[QuickReply(title="{{street}}")]), ["content.quick_replies[0].title"]),
    ],
)
async def test_a_content_is_validated_as_in_send(edge: Edge, content: Content, fields: list[str]) -> None:
    message_id = await failed(edge)

    for dry in (True, False):
        refusal = await refusal_of(edge.delivery.Resend(resend(message_id, content=content, validate_only=dry)))

        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert list(refusal.violations) == fields
    assert not (await edge.delivery.ListRetries(ListRetriesRequest(message_id=message_id))).rounds


async def test_a_dry_run_predicts_that_content_errors_can_pass(edge: Edge) -> None:
    message_id = await failed(edge)

    dry = await edge.delivery.Resend(resend(message_id, content=Content(attachment=IMAGE), validate_only=True))

    assert list(dry.predictions) == [
        ResendPrediction(
            cause=ResendCause.RESEND_CAUSE_RETRYABLE_NOW, error_type=error_pb2.ERROR_TYPE_NETWORK, count=1
        ),
        ResendPrediction(cause=ResendCause.RESEND_CAUSE_RETRYABLE_NOW, error_type=error_pb2.ERROR_TYPE_OTHER, count=1),
        ResendPrediction(cause=ResendCause.RESEND_CAUSE_ALREADY_SENT, count=1),
    ]


async def test_rounds_and_events_show_that_the_content_changed_but_not_the_content(edge: Edge) -> None:
    message_id = await failed(edge)
    await edge.delivery.Resend(resend(message_id, content=Content(text="Dear secret {{name}}")))

    (only,) = (await edge.delivery.ListRetries(ListRetriesRequest(message_id=message_id))).rounds
    events = (await edge.delivery.ListEvents(ListEventsRequest(message_id=message_id, without_batches=True))).events

    assert (only.recipients, only.selection.content_changed) == (2, True)
    (requested,) = (event for event in events if event.name == "RetryRequested")
    assert requested.summary.endswith("with a corrected content")
    assert "secret" not in str(events)
    assert "sealed_content" not in requested.details
