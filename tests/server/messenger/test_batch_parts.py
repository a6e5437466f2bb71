"""Parts written from a pattern equal parts written one by one."""

import json
from typing import Any
from urllib.parse import quote_plus, urlencode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.content import Attachment, Content, QuickReply
from server.messenger.channel import OutgoingMessage
from server.messenger.request import BatchParts, message_fields

PROOF = {"appsecret_proof": "0a1b"}
PATH = "10%2F01/messages"

TEXTS = st.text(max_size=20) | st.sampled_from(["", '"', "\\", "\n", "%2B +", "{0}", "{", "}}", "%s", '"\n"', "é👋"])
TEMPLATES = st.dictionaries(TEXTS, TEXTS | st.booleans() | st.sampled_from([0, 1, 1.0]), min_size=1, max_size=3)
ATTACHMENTS = st.builds(Attachment, type=TEXTS, url=TEXTS, is_reusable=st.booleans(), template=st.none() | TEMPLATES)
CONTENTS = st.builds(
    Content,
    attachment=st.none() | ATTACHMENTS,
    quick_replies=st.lists(st.builds(QuickReply, title=TEXTS, payload=TEXTS), max_size=2),
    messaging_type=st.sampled_from(["UPDATE", "MESSAGE_TAG"]),
    tag=TEXTS,
    notification_type=TEXTS,
)


@st.composite
def batches(draw: st.DrawFn) -> list[OutgoingMessage]:
    """Draw few contents and many messages, so that some differ in their texts only."""
    contents = st.sampled_from(draw(st.lists(CONTENTS, min_size=1, max_size=2)))
    filled_in = st.builds(lambda content, text: msgspec.structs.replace(content, text=text), contents, TEXTS)
    messages = st.builds(OutgoingMessage, delivery_id=TEXTS, recipient_id=TEXTS, content=filled_in)
    return draw(st.lists(messages, min_size=1, max_size=6))


def template_of(value: object) -> OutgoingMessage:
    content = Content(text="Hi", attachment=Attachment(type="template", template={"price": value}))
    return OutgoingMessage(delivery_id="d-1", recipient_id="psid-1", content=content)


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def written_separately(message: OutgoingMessage) -> str:
    fields = message_fields(message) | PROOF
    form = {name: value if isinstance(value, str) else compact(value) for name, value in fields.items()}
    return quote_plus(compact({"method": "POST", "relative_url": PATH, "body": urlencode(form)}))


@given(batches())
@example([template_of(1), template_of(True), template_of(1.0)])
def test_a_part_is_the_same_in_a_batch_and_alone(messages: list[OutgoingMessage]) -> None:
    assert BatchParts(PATH, PROOF).write(messages) == [written_separately(message) for message in messages]


def test_values_without_a_json_form_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        BatchParts(PATH, PROOF).write([template_of(1), template_of(float("nan"))])
