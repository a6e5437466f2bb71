"""Send."""

import asyncio

import grpc
import pytest

from domain.content import Content as KeptContent
from redrive.v1.content_pb2 import AttachmentType, Content, MessagingType, Recipient
from redrive.v1.delivery_service_pb2 import GetMessageRequest
from redrive.v1.message_pb2 import MessageStatus, OnUnconfirmed, RetryPolicy, RetryType
from server.api.mapping import send_requests
from server.commands.lookup import load_message
from tests.builders import OWNER, PAGE
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request


async def test_a_message_is_answered_with_its_counts_and_defaults(edge: Edge) -> None:
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


async def test_get_message_answers_the_same_message_as_send(edge: Edge) -> None:
    sent = (await edge.delivery.Send(send_request())).message

    assert (await edge.delivery.GetMessage(GetMessageRequest(message_id=sent.id))).message == sent


async def test_a_policy_is_stored_as_it_was_given(edge: Edge) -> None:
    policy = RetryPolicy(type=RetryType.RETRY_TYPE_CRON, max_retry_attempts=7)
    request = send_request(retry_policy=policy, on_unconfirmed=OnUnconfirmed.ON_UNCONFIRMED_RESEND)

    message = (await edge.delivery.Send(request)).message

    assert message.retry_policy == policy
    assert message.on_unconfirmed == OnUnconfirmed.ON_UNCONFIRMED_RESEND


async def stored_content(edge: Edge, request: Content) -> KeptContent:
    """Return the content that a worker reads from the log."""
    message_id = (await edge.delivery.Send(send_request(content=request))).message.id
    key = await edge.log.read(edge.vault.message_key(message_id))
    return key.open_content((await load_message(edge.log, message_id)).sealed_content)


async def test_a_template_is_stored_as_it_was_given(edge: Edge) -> None:
    payload = {"template_type": "generic", "elements": [{"one": 1, "half": 1.5, "yes": True}, None]}
    content = Content()
    content.attachment.type = AttachmentType.ATTACHMENT_TYPE_TEMPLATE
    content.attachment.template.update(payload)

    attachment = (await stored_content(edge, content)).attachment

    assert attachment is not None
    assert attachment.type == "template"
    assert attachment.template == payload
    assert repr(attachment.template["elements"][0]["one"]) == "1", "whole numbers stay whole"


async def test_an_attachment_is_stored_as_it_was_given(edge: Edge) -> None:
    content = Content(messaging_type=MessagingType.MESSAGING_TYPE_MESSAGE_TAG, tag="HUMAN_AGENT")
    content.attachment.type = AttachmentType.ATTACHMENT_TYPE_IMAGE
    content.attachment.url = "https://example.org/a.png"
    content.attachment.is_reusable = True
    content.quick_replies.add(title="Yes", payload="Y")

    kept = await stored_content(edge, content)

    assert kept.attachment is not None
    assert (kept.attachment.type, kept.attachment.url, kept.attachment.is_reusable) == (
        "image",
        "https://example.org/a.png",
        True,
    )
    assert kept.attachment.template is None
    assert (kept.messaging_type, kept.tag, kept.notification_type) == ("MESSAGE_TAG", "HUMAN_AGENT", "REGULAR")
    [reply] = kept.quick_replies
    assert (reply.content_type, reply.title, reply.payload) == ("text", "Yes", "Y")


async def test_a_dry_run_answers_the_result_and_stores_nothing(edge: Edge) -> None:
    answer = await edge.delivery.Send(send_request("ann", "bob", "ann", validate_only=True, request_id="r-1"))

    assert answer.message.id == ""
    assert answer.message.counts.total == 2
    assert answer.duplicates_dropped == 1
    assert await edge.rows("messages") == 0


async def test_a_repeated_request_gets_the_first_answer(edge: Edge) -> None:
    request = send_request("ann", "bob", "ann", request_id="r-1")
    first = await edge.delivery.Send(request)

    assert await edge.delivery.Send(request) == first
    assert await edge.rows("messages") == 1


async def test_another_request_with_the_same_id_is_refused(edge: Edge) -> None:
    await edge.delivery.Send(send_request(request_id="r-1"))

    refused = await refusal_of(edge.delivery.Send(send_request(request_id="r-1", title="Another")))

    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert (refused.info.reason, refused.info.domain) == ("REQUEST_ID_REUSED", "redrive")
    assert refused.info.metadata["request_id"] == "r-1"


async def test_an_unregistered_page_is_a_failed_precondition(edge: Edge) -> None:
    refused = await refusal_of(edge.delivery.Send(send_request(page_id="2002")))

    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.info.reason == "PAGE_NOT_REGISTERED"
    [violation] = refused.precondition.violations
    assert (violation.type, violation.subject) == ("PAGE_NOT_REGISTERED", "pages/2002")
    assert "PutPage" in violation.description


async def test_an_unknown_message_is_not_found(edge: Edge) -> None:
    refused = await refusal_of(edge.delivery.GetMessage(GetMessageRequest(message_id="unknown")))

    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.info.reason == "MESSAGE_NOT_FOUND"
    assert refused.info.metadata["message_id"] == "unknown"


async def test_every_invalid_field_is_named_and_nothing_is_stored(edge: Edge) -> None:
    recipients = [Recipient(id="ann"), Recipient(id="has space", variables={"city": "x" * 1001})]
    request = send_request(title="t" * 312, recipients=recipients)

    refused = await refusal_of(edge.delivery.Send(request))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.reason == "INVALID_REQUEST"
    assert refused.violations == {
        "title": "must have at most 200 characters, has 312",
        "recipients[1].id": "holds U+0020 SPACE",
        'recipients[1].variables["city"]': "must have at most 1,000 characters, has 1,001",
    }
    assert await edge.rows("messages") == 0


async def test_a_recipient_without_a_variable_of_the_text_is_named(edge: Edge) -> None:
    recipients = [Recipient(id="ann", variables={"city": "Rome"}), Recipient(id="bob")]

    refused = await refusal_of(edge.delivery.Send(send_request(text="Come to {{city}}", recipients=recipients)))

    assert refused.violations == {"recipients[1].variables": "lacks {{city}}, which the text asks for"}


async def test_a_text_that_becomes_too_long_for_a_recipient_names_that_recipient(edge: Edge) -> None:
    recipients = [Recipient(id="ann", variables={"a": "x"}), Recipient(id="bob", variables={"a": "x" * 1000})]

    refused = await refusal_of(edge.delivery.Send(send_request(text="{{a}}{{a}}!", recipients=recipients)))

    assert refused.violations == {
        "recipients[1].variables": "makes a text of 2,001 characters; at most 2,000 are allowed"
    }


async def test_ten_thousand_recipients_are_accepted_at_once(edge: Edge) -> None:
    recipients = [Recipient(id=f"u{number:05}", name=f"Name {number}") for number in range(10_000)]

    answer = await edge.delivery.Send(send_request(recipients=recipients))

    assert answer.message.counts.total == 10_000
    assert answer.message.batches_total == 100


async def test_the_error_for_very_many_invalid_recipients_is_small_and_counts_the_rest(edge: Edge) -> None:
    recipients = [Recipient(id="has space", name="n" * 201, variables={"é" * 70: "x" * 1001})] * 10_000

    refused = await refusal_of(edge.delivery.Send(send_request(recipients=recipients)))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert 3 <= len(refused.violations) <= 50
    assert "more that are not listed" in refused.message
    assert sum(len(name) + len(value) * 4 // 3 + 32 for name, value in refused.metadata.items()) < 7_000


async def test_other_tasks_run_while_ten_thousand_recipients_are_checked() -> None:
    variables = {"city": "Hanoi"}
    recipients = [Recipient(id=f"u{number:05}", variables=variables) for number in range(10_000)]
    turns = 0

    async def other_calls() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other_calls())
    await send_requests.send_command(send_request(text="{{city}}", recipients=recipients), OWNER, OWNER)
    others.cancel()

    assert turns >= 50


@pytest.mark.parametrize(
    ("bad_id", "words"),
    [
        ("1234567890123456\u200b", "holds U+200B ZERO WIDTH SPACE"),
        ("\u0661\u0662", "holds U+0661 ARABIC-INDIC DIGIT ONE"),
        ("1.23457E+15", "is a number that a spreadsheet has rounded"),
        ("=\u201c1234\u201d", "begins with U+003D EQUALS SIGN, like a formula or an error of a spreadsheet"),
    ],
)
async def test_an_id_that_a_spreadsheet_has_changed_is_refused(edge: Edge, bad_id: str, words: str) -> None:
    both = [Recipient(id=bad_id, name="Ann"), Recipient(id=bad_id, name="Bob")]

    refused = await refusal_of(edge.delivery.Send(send_request(recipients=both)))

    assert refused.violations == {"recipients[0].id": words, "recipients[1].id": words}
    assert await edge.rows("messages") == 0
