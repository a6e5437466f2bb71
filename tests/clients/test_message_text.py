"""The client's previews equal the texts that the server sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import Recipient as Sent
from domain.content import Attachment, Content, FillableContent
from redrive.texts import message_text
from redrive.v1.content_pb2 import Recipient

VALUES = st.sampled_from(["", "\u200b ", "Ann", "a/b ü", "{{city}}", "https://e.org/a"])
TEXTS = st.lists(
    st.sampled_from(
        ["Hi ", "https://e.org/", "{{name}}", "{{ city | my | town }}", "{{day|}}", "{{day}}", "{{x y}}", "{", "}", "|"]
    ),
    max_size=5,
).map("".join)


@given(TEXTS, VALUES, st.dictionaries(st.sampled_from(["name", "city", "day"]), VALUES))
def test_preview_equals_the_sent_text(text: str, name: str, variables: dict[str, str]) -> None:
    recipient = Recipient(id="1", name=name, variables=variables)
    fillings = Sent(id="1", name=name, variables=variables).variable_values()
    as_text = FillableContent(Content(text=text)).fill(fillings)
    as_url = FillableContent(Content(attachment=Attachment(type="image", url=text))).fill(fillings)

    assert set(message_text.variables_of(text)) == FillableContent(Content(text=text)).variables
    if isinstance(as_text, Content):
        assert message_text.filled_in(text, recipient) == as_text.text
    if isinstance(as_url, Content) and as_url.attachment is not None:
        assert message_text.filled_address(text, recipient) == as_url.attachment.url


@pytest.mark.parametrize("name", ["name", "city"])
def test_unfilled_placeholder_lacks_a_value(name: str) -> None:
    recipient = Recipient(id="1")

    assert message_text.lacks(recipient, name)
    assert message_text.filled_address(f"https://e.org/{{{{{name}}}}}", recipient) == f"https://e.org/{{{{{name}}}}}"
