"""What the command line and the dashboard show is what the server sends: they have the grammar twice."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import placeholders
from domain.content import Attachment, Content, FillableContent
from domain.recipient import Recipient as Sent
from redrive.cli import message_text
from redrive.v1.content_pb2 import Recipient

VALUES = st.sampled_from(["", "\u200b ", "Ann", "a/b ü", "{{city}}", "https://e.org/a"])
TEXTS = st.lists(
    st.sampled_from(
        ["Hi ", "https://e.org/", "{{name}}", "{{ city | my | town }}", "{{day|}}", "{{day}}", "{{x y}}", "{", "}", "|"]
    ),
    max_size=5,
).map("".join)


@given(TEXTS, VALUES, st.dictionaries(st.sampled_from(["name", "city", "day"]), VALUES))
def test_a_preview_shows_what_is_sent(text: str, name: str, variables: dict[str, str]) -> None:
    recipient = Recipient(id="1", name=name, variables=variables)
    fillings = Sent(id="1", name=name, variables=variables).fillings()
    as_text = FillableContent(Content(text=text)).filled(fillings)
    as_url = FillableContent(Content(attachment=Attachment(type="image", url=text))).filled(fillings)

    assert set(message_text.variables_of(text)) == FillableContent(Content(text=text)).variables
    if isinstance(as_text, Content):
        assert message_text.filled_in(text, recipient) == as_text.text
    if isinstance(as_url, Content) and as_url.attachment is not None:
        assert message_text.filled_address(text, recipient) == as_url.attachment.url


def test_blank_is_the_same_for_every_character() -> None:
    characters = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]

    assert [one for one in characters if message_text.is_blank(one) != placeholders.is_blank(one)] == []


@pytest.mark.parametrize("name", ["name", "city"])
def test_what_stays_as_it_is_written_lacks_a_value(name: str) -> None:
    recipient = Recipient(id="1")

    assert message_text.lacks(recipient, name)
    assert message_text.filled_address(f"https://e.org/{{{{{name}}}}}", recipient) == f"https://e.org/{{{{{name}}}}}"
