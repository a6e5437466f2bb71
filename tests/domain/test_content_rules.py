"""Which rule a string of a content has, and the limits of a template after variables are filled in."""

import pytest

from domain import content
from domain.content import (
    MAX_TEMPLATE_LENGTH,
    Attachment,
    Content,
    ContentProblem,
    FillableContent,
    QuickReply,
    StringRule,
    content_strings,
    template_rule,
    template_strings,
)
from domain.placeholders import is_web_address
from domain.template_size import MAX_TEMPLATE_BYTES, json_size


def template_of(**values: object) -> Content:
    return Content(attachment=Attachment(type="template", template=values))


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("url", content.URL),
        ("image_url", content.URL),
        ("title", content.TEMPLATE_TITLE),
        ("payload", content.TEMPLATE_PAYLOAD),
        ("subtitle", content.TEMPLATE_STRING),
        ("", content.TEMPLATE_STRING),
    ],
)
def test_the_key_of_a_template_string_decides_its_rule(key: str, rule: StringRule) -> None:
    assert template_rule(key) == rule


def test_the_title_of_a_quick_reply_is_required_for_text_only() -> None:
    replies = (QuickReply(title="Yes"), QuickReply(content_type="user_email", title="Mail"))

    rules = {string.path: string.rule for string in content_strings(Content(text="?", quick_replies=replies))}

    assert rules["quick_replies[0].title"] == content.TITLE
    assert rules["quick_replies[1].title"] == content.OTHER_TITLE


def test_the_entries_of_a_list_have_the_rule_of_its_key_and_a_path_of_their_own() -> None:
    strings = template_strings({"payload": ["a"], "other key": {"url": "https://example.org"}})

    assert [(string.path, string.rule) for string in strings] == [
        ("payload[0]", content.TEMPLATE_PAYLOAD),
        ('["other key"].url', content.URL),
    ]


def test_a_content_counts_its_placeholders_and_the_bytes_of_its_template() -> None:
    plain = FillableContent(Content(text="{{name}}, {{name}} and {{city|here}}"))
    of_template = FillableContent(template_of(a="{{name}}"))

    assert (plain.count, plain.template_size) == (3, 0)
    assert (of_template.count, of_template.template_size) == (1, json_size({"a": "{{name}}"}))


def test_a_template_may_be_as_long_as_the_limit() -> None:
    parts = {f"a{number}": "{{x}}" + "y" * 1_999 for number in range(MAX_TEMPLATE_LENGTH // 2_000)}
    fillable = FillableContent(template_of(**parts))

    assert fillable.problem({"x": "z"}) is None

    longer = FillableContent(template_of(**parts, more="{{x}}"))
    assert longer.problem({"x": "z"}) == ContentProblem(
        "makes a content.attachment.template of 50,001 characters; at most 50,000 are allowed"
    )


def test_a_template_may_have_as_many_bytes_as_the_limit() -> None:
    fixed = {"a": "{{x}}", "b": ""}
    room = MAX_TEMPLATE_BYTES - json_size({"a": "z", "b": ""})

    assert FillableContent(template_of(**{**fixed, "b": "y" * room})).problem({"x": "z"}) is None
    too_large = FillableContent(template_of(**{**fixed, "b": "y" * room})).problem({"x": "zz"})
    assert too_large is not None
    assert "65,537 bytes as JSON" in too_large.words


def test_only_a_variable_without_a_default_is_missing() -> None:
    text = Content(
        text="{{name|friend}} in {{city}}", attachment=Attachment(type="image", url="https://a.org/{{name|x}}")
    )

    problem = FillableContent(text).problem({})

    assert problem == ContentProblem("lacks {{city}}, which the text asks for", ("city",))


@pytest.mark.parametrize(
    "url", ["https://[bad/", "https://", "https:///path", "ftp://example.org", "https://a%20b.org"]
)
def test_an_address_without_a_valid_host_is_no_web_address(url: str) -> None:
    assert not is_web_address(url)
