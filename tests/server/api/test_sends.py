"""Send, as a caller meets it."""

import grpc

from redrive.v1.content_pb2 import Attachment, AttachmentType, Content, MessagingType, Recipient
from redrive.v1.delivery_service_pb2 import GetMessageRequest
from redrive.v1.message_pb2 import Message, MessageStatus, OnUnconfirmed, RetryPolicy, RetryType
from tests.builders import OWNER, PAGE
from tests.server.api.edge import Edge, send_request
from tests.server.api.refusals import refusal_of


async def test_a_message_is_answered_with_its_books_and_defaults(edge: Edge) -> None:
    answer = await edge.delivery.Send(send_request("ann", "bob", "ann", title="Spring sale"))

    message = answer.message
    assert answer.duplicates_dropped == 1
    assert message.id
    assert (message.title, message.page_id, message.owner) == ("Spring sale", PAGE, OWNER)
    assert message.status == MessageStatus.MESSAGE_STATUS_PENDING
    assert (message.counts.total, message.counts.pending) == (2, 2)
    assert message.retry_policy == RetryPolicy(type=RetryType.RETRY_TYPE_MANUAL, max_retry_attempts=3)
    assert message.on_unconfirmed == OnUnconfirmed.ON_UNCONFIRMED_HOLD
    assert (message.batches_total, message.batches_completed) == (1, 0)
    assert message.create_time.seconds > 0
    assert not message.HasField("end_time")


async def test_get_message_shows_what_send_answered(edge: Edge) -> None:
    sent = (await edge.delivery.Send(send_request())).message

    assert (await edge.delivery.GetMessage(GetMessageRequest(message_id=sent.id))).message == sent


async def test_a_policy_is_kept_as_it_was_given(edge: Edge) -> None:
    policy = RetryPolicy(type=RetryType.RETRY_TYPE_CRON, max_retry_attempts=7)
    request = send_request(retry_policy=policy, on_unconfirmed=OnUnconfirmed.ON_UNCONFIRMED_RESEND)

    message = (await edge.delivery.Send(request)).message

    assert message.retry_policy == policy
    assert message.on_unconfirmed == OnUnconfirmed.ON_UNCONFIRMED_RESEND


async def test_every_part_of_the_content_reaches_the_log(edge: Edge) -> None:
    content = Content(messaging_type=MessagingType.MESSAGING_TYPE_MESSAGE_TAG, tag="HUMAN_AGENT")
    content.attachment.type = AttachmentType.ATTACHMENT_TYPE_TEMPLATE
    content.attachment.template.update({"template_type": "generic", "elements": [{"n": 1, "x": 1.5, "t": True}], "z": None})
    content.quick_replies.add(title="Yes", payload="Y")
    message_id = (await edge.delivery.Send(send_request(content=content))).message.id

    kept = await kept_content(edge, message_id)

    assert kept.attachment is not None
    assert kept.attachment.type == "template"
    elements = [{"n": 1, "x": 1.5, "t": True}]
    assert kept.attachment.template == {"template_type": "generic", "elements": elements, "z": None}
    assert repr(kept.attachment.template["elements"][0]["n"]) == "1"
    assert (kept.messaging_type, kept.tag, kept.notification_type) == ("MESSAGE_TAG", "HUMAN_AGENT", "REGULAR")
    [reply] = kept.quick_replies
    assert (reply.content_type, reply.title, reply.payload) == ("text", "Yes", "Y")
