"""Any content that Send accepts is filled in as by a simple reference implementation, and within the limits."""

import asyncio
import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content import Content, FillableContent
from domain.errors import InvalidRequest
from redrive.v1 import content_pb2
from redrive.v1.content_pb2 import Attachment, AttachmentType, QuickReply, Recipient
from redrive.v1.delivery_service_pb2 import SendRequest
from server.api.mapping import send_requests
from tests.builders import OWNER
from tests.server.api.requests import send_request

IMAGE, TEMPLATE = AttachmentType.ATTACHMENT_TYPE_IMAGE, AttachmentType.ATTACHMENT_TYPE_TEMPLATE
NAMES = ("name", "city", "url")
SEEN = st.characters(exclude_categories=["C"], exclude_characters="{}\u034f", max_codepoint=0x5FF)
VALUES = st.one_of(
    st.sampled_from(
        ["", " ", "\u200b\u00a0", "Ann", "Hà Nội", "{{city}}", "https://e.org/a?b=c d", "https://e.org/é", "x" * 199]
    ),
    st.text(SEEN, max_size=8),
)
PLACEHOLDERS = st.builds(
    "{{{{{}{}{}}}}}".format,
    st.sampled_from(["", " ", "\n"]),
    st.sampled_from(NAMES),
    st.one_of(
        st.just(""),
        st.sampled_from(["|", "| ", "|friend", "| a b ", "|https://e.org/d.png"]),
        st.text(SEEN, max_size=6).map("|{}".format),
    ),
)
HARMLESS = ["", " ", "Hi ", "/é", "{", "}", "a"]
PIECES = st.one_of(PLACEHOLDERS, PLACEHOLDERS, st.sampled_from([*HARMLESS * 3, "{{x", "}}"]))
STRINGS = st.lists(PIECES, max_size=4).map("".join)
LONG_STRINGS = st.builds(str.__add__, STRINGS, st.sampled_from(["", "Hi", "x" * 990, "x" * 1_990]))
URLS = st.builds(str.__add__, st.sampled_from(["", "https://e.org/", "https://"]), STRINGS)
TEMPLATES = st.recursive(
    st.one_of(STRINGS, st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["text", "title", "subtitle", "payload", "buttons"]), inner, max_size=3),
        st.fixed_dictionaries({"url": URLS, "image_url": URLS}),
    ),
    max_leaves=6,
).map(lambda value: {"template_type": "button", "elements": value})
REPLIES = st.lists(st.builds(QuickReply, title=st.builds("Y{}".format, STRINGS), payload=STRINGS), max_size=2)
PEOPLE = st.builds(
    Recipient, id=st.just("1"), name=VALUES, variables=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
)


def _attached(kind: AttachmentType.ValueType, url: str, template: Mapping[str, Any]) -> Attachment:
    attachment = Attachment(type=kind, url=url)
    if template:
        attachment.template.update(template)
    return attachment


ATTACHED = st.one_of(
    st.builds(_attached, st.just(IMAGE), URLS, st.just({})),
    st.builds(_attached, st.just(TEMPLATE), st.just(""), TEMPLATES),
)
CONTENTS = st.one_of(
    st.builds(content_pb2.Content, text=LONG_STRINGS, quick_replies=REPLIES),
    st.builds(content_pb2.Content, attachment=ATTACHED, quick_replies=REPLIES),
)


def naive(value: Any, person: Recipient, key: str = "") -> Any:
    """Fill in one placeholder after the other, without parsing beforehand."""
    if isinstance(value, dict):
        return {name: naive(inner, person, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [naive(inner, person, key) for inner in value]
    return naive_string(value, person, is_url=key == "url" or key.endswith("_url")) if isinstance(value, str) else value


def naive_string(text: str, person: Recipient, *, is_url: bool) -> str:
    done, rest = "", text
    while (found := re.search(r"\{\{\s*(\w+)\s*(\|[^{}]*)?\}\}", rest)) is not None:
        value = {"name": person.name, **person.variables}.get(found[1], "")
        if found[2] is not None and not any(map(is_seen, value)):
            value = found[2][1:].strip()
        begins = not done and not found.start()
        done += rest[: found.start()] + (quote(value, safe="") if is_url and not begins else value)
        rest = rest[found.end() :]
    return done + rest


def is_seen(character: str) -> bool:
    return unicodedata.category(character)[0] not in "ZC"


def strings(value: Any, key: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [one for name, inner in value.items() for one in strings(inner, name)]
    if isinstance(value, list):
        return [one for inner in value for one in strings(inner, key)]
    return [(key, value)] if isinstance(value, str) else []


def plain(content: Content) -> Any:
    return msgspec.json.decode(msgspec.json.encode(content))


def accepted(request: SendRequest) -> Content | dict[str, str]:
    """Return the content, or the violations by field."""
    try:
        return asyncio.run(send_requests.send_command(request, OWNER, OWNER))[0].content
    except InvalidRequest as refused:
        return dict(refused.violations)


LIMITS = {"title": 20, "payload": 1_000, "text": 2_000, "url": 2_048}


@settings(max_examples=300, deadline=None)
@given(CONTENTS, PEOPLE)
def test_accepted_contents_are_filled_in_and_violations_name_the_field(
    content: content_pb2.Content, person: Recipient
) -> None:
    answer = accepted(send_request(content=content, recipients=[person]))

    if isinstance(answer, dict):
        assert answer
        assert all(field.startswith(("recipients[0].", "content.")) for field in answer)
        return
    fillings = {"name": person.name, **person.variables}
    filled = FillableContent(answer).fill(fillings)
    assert isinstance(filled, Content)
    sent = plain(filled)
    assert sent == naive(plain(answer), person)
    values = "".join(fillings.values())
    meets_brace = "{{{" in str(content)  # two single braces around an empty placeholder: {{{name|}}{
    for key, text in strings(sent):
        assert "{{" not in text or "{{" in values or meets_brace
        if content.attachment.type != TEMPLATE:
            assert len(text) <= LIMITS.get(key, 2_000)
        assert key not in ("text", "title") or text.strip() or (key == "text" and not content.text)


@settings(max_examples=100, deadline=None)
@given(CONTENTS, st.lists(PEOPLE, min_size=1, max_size=4))
def test_recipients_are_refused_separately(content: content_pb2.Content, people: list[Recipient]) -> None:
    """Each recipient in a list gives the same violations as alone."""
    alone = [accepted(send_request(content=content, recipients=[person])) for person in people]
    together = accepted(send_request(content=content, recipients=people))

    expected: dict[str, str] = {}
    for number, answer in enumerate(alone):
        if isinstance(answer, dict):
            expected |= {
                field.replace("recipients[0]", f"recipients[{number}]"): words for field, words in answer.items()
            }
    assert (together if isinstance(together, dict) else {}) == expected
