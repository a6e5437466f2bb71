"""Variables in every string of a content, in Send and SendStream."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from redrive.v1.content_pb2 import Attachment, AttachmentType, Content, QuickReply, Recipient
from redrive.v1.delivery_service_pb2 import Recipients, SendRequest, SendStreamRequest
from server.commands.lookup import load_message
from tests.server.api.edge import Edge
from tests.server.api.refusals import refusal_of
from tests.server.api.requests import send_request

ANN = Recipient(id="ann", name="Ann", variables={"city": "Rome", "url": "https://e.org/a.png"})


def image(url: str) -> Content:
    return Content(attachment=Attachment(type=AttachmentType.ATTACHMENT_TYPE_IMAGE, url=url))


def template(payload: dict[str, Any]) -> Content:
    content = Content(attachment=Attachment(type=AttachmentType.ATTACHMENT_TYPE_TEMPLATE))
    content.attachment.template.update(payload)
    return content


def replying(**fields: str) -> Content:
    return Content(text="Hello", quick_replies=[QuickReply(**fields)])


LACKING = [
    (Content(text="Hello {{name}}!"), "recipients[1].name", "lacks {{name}}, which the text asks for"),
    (Content(text="In {{city}}"), "recipients[1].variables", "lacks {{city}}, which the text asks for"),
    (
        replying(title="{{name}}"),
        "recipients[1].name",
        "lacks {{name}}, which content.quick_replies[0].title asks for",
    ),
    (
        replying(title="Yes", payload="{{city}}"),
        "recipients[1].variables",
        "lacks {{city}}, which content.quick_replies[0].payload asks for",
    ),
    (image("{{url}}"), "recipients[1].variables", "lacks {{url}}, which content.attachment.url asks for"),
    (
        template({"template_type": "button", "text": "Hi {{name}}"}),
        "recipients[1].name",
        "lacks {{name}}, which content.attachment.template.text asks for",
    ),
    (
        template({"buttons": [{"type": "web_url", "url": "https://e.org/?c={{city}}", "title": "Go"}]}),
        "recipients[1].variables",
        "lacks {{city}}, which content.attachment.template.buttons[0].url asks for",
    ),
    (
        replying(title="{{city|}}"),
        "recipients[1].variables",
        "makes a content.quick_replies[0].title that is blank",
    ),
    (Content(text="{{name|}} \u200b"), "recipients[1].variables", "makes a text that is blank"),
]


@pytest.mark.parametrize("validate_only", [False, True])
@pytest.mark.parametrize("blank", ["", " \u00a0\u200b"])
@pytest.mark.parametrize(("content", "field", "words"), LACKING)
async def test_a_recipient_without_a_value_is_refused_by_name(
    edge: Edge, content: Content, field: str, words: str, blank: str, *, validate_only: bool
) -> None:
    ben = Recipient(id="ben", name=blank, variables={"city": blank, "url": blank})
    request = send_request(content=content, recipients=[ANN, ben], validate_only=validate_only)

    refused = await refusal_of(edge.delivery.Send(request))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.violations == {field: words}
    assert await edge.rows("messages") == 0


async def test_a_recipient_without_a_name_and_a_variable_is_reported_at_both(edge: Edge) -> None:
    refused = await refusal_of(
        edge.delivery.Send(send_request(text="{{name}} of {{city}}", recipients=[Recipient(id="ben")]))
    )

    text = "lacks {{city}}, {{name}}, which the text asks for"
    assert refused.violations == {"recipients[0].name": text, "recipients[0].variables": text}


async def test_a_blank_variable_called_name_is_reported_at_the_variables(edge: Edge) -> None:
    ben = Recipient(id="ben", name="Ben", variables={"name": " "})

    refused = await refusal_of(edge.delivery.Send(send_request(recipients=[ben])))

    assert refused.violations == {"recipients[0].variables": "lacks {{name}}, which the text asks for"}


async def test_every_recipient_without_a_value_is_counted(edge: Edge) -> None:
    people = [ANN, *(Recipient(id=f"u{n}") for n in range(120))]

    refused = await refusal_of(edge.delivery.Send(send_request(recipients=people)))

    listed = len(refused.violations)
    assert list(refused.violations) == [f"recipients[{n}].name" for n in range(1, listed + 1)]
    assert f"and {120 - listed} more that are not listed" in refused.message


async def test_a_default_is_used_for_recipients_without_the_value(edge: Edge) -> None:
    contents = [
        Content(text="Hello {{name|friend}}!"),
        replying(title="{{ name | Go }}", payload="{{city|}}"),
        image("{{url|https://e.org/b.png}}"),
        template({"text": "{{name|Hello}}", "buttons": [{"url": "https://e.org/{{city|}}"}]}),
    ]

    for content in contents:
        await edge.delivery.Send(send_request(content=content, recipients=[ANN, Recipient(id="ben", name=" ")]))

    assert await edge.rows("messages") == len(contents)


async def test_a_default_cannot_make_an_invalid_address(edge: Edge) -> None:
    ben = Recipient(id="ben", variables={"url": "e.org/a.png"})
    request = send_request(content=image("{{url|nothing}}"), recipients=[ANN, ben, Recipient(id="cy")])

    refused = await refusal_of(edge.delivery.Send(request))

    words = "makes a content.attachment.url that is no http or https address"
    assert refused.violations == {"recipients[1].variables": words, "recipients[2].variables": words}


async def test_a_stream_numbers_recipients_over_all_parts(edge: Edge) -> None:
    async def parts() -> AsyncIterator[SendStreamRequest]:
        header = SendRequest(page_id="1001", content=replying(title="{{name}}"))
        yield SendStreamRequest(header=header)
        yield SendStreamRequest(recipients=Recipients(recipients=[ANN] * 3))
        yield SendStreamRequest(recipients=Recipients(recipients=[ANN, Recipient(id="ben")]))

    refused = await refusal_of(edge.delivery.SendStream(parts()))

    assert list(refused.violations) == ["recipients[4].name"]


@pytest.mark.parametrize(
    ("content", "fills_every_string"),
    [
        (Content(text="Hello {{name}}"), False),
        (Content(text="Hello {{name|friend}}"), True),
        (replying(title="{{name}}"), True),
        (template({"text": "Hello"}), False),
    ],
)
async def test_a_message_stores_whether_the_earlier_release_would_fill_it_in_alike(
    edge: Edge, content: Content, *, fills_every_string: bool
) -> None:
    answer = await edge.delivery.Send(send_request(content=content))

    assert (await load_message(edge.log, answer.message.id)).fills_every_string is fills_every_string
