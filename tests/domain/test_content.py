"""Filling in a recipient's variables in contents."""

from typing import Any

import pytest

from domain.commands import Recipient
from domain.content import (
    MAX_TEMPLATE_LENGTH,
    MAX_TEXT_LENGTH,
    Attachment,
    Content,
    ContentProblem,
    FillableContent,
    QuickReply,
    fill,
)

VARIABLES = {"city": "Hà Nội", "url": "https://e.org/a?b=c", "blank": " \u200b", "emoji": "😀" * 4}
ANN = Recipient(id="1", name="Ann", variables=VARIABLES)


def text_for(text: str, recipient: Recipient = ANN) -> str:
    content = fill(Content(text=text), recipient.variable_values())
    assert isinstance(content, Content)
    return content.text


def url_for(url: str, recipient: Recipient = ANN) -> str:
    content = fill(Content(attachment=Attachment(type="image", url=url)), recipient.variable_values())
    assert isinstance(content, Content)
    assert content.attachment is not None
    return content.attachment.url


def template_for(template: dict[str, Any], recipient: Recipient = ANN) -> Any:
    content = fill(Content(attachment=Attachment(type="template", template=template)), recipient.variable_values())
    assert isinstance(content, Content)
    assert content.attachment is not None
    return content.attachment.template


def problem(content: Content, recipient: Recipient = ANN) -> ContentProblem:
    found = fill(content, recipient.variable_values())
    assert isinstance(found, ContentProblem)
    return found


@pytest.mark.parametrize(
    ("text", "filled_in"),
    [
        ("Hello", "Hello"),
        ("Hello {{name}} of {{city}}", "Hello Ann of Hà Nội"),
        ("{{ name }}{{city}}", "AnnHà Nội"),
        ("{{name}} {{name}}", "Ann Ann"),
        ("{name} {{}} {{first name}} {{na-me}}{{name}}", "{name} {{}} {{first name}} {{na-me}}Ann"),
        ("{{{name}}}", "{Ann}"),
        ("{{\n name}}", "Ann"),
        ("{{name|friend}}", "Ann"),
        ("{{nick|my friend}}", "my friend"),
        ("{{ nick | my | friend\u00a0}}!", "my | friend!"),
        ("Hi{{nick|}}!", "Hi!"),
        ("Hi {{blank|friend}}!", "Hi friend!"),
        ("{{nick|a}}{{nick|b}}{{ nick|a}}", "aba"),
        ("{{nick|{{name}}}}", "{{nick|Ann}}"),
    ],
)
def test_variables_in_double_braces_are_filled_in(text: str, filled_in: str) -> None:
    assert text_for(text) == filled_in


@pytest.mark.parametrize("value", ["{{b}}", "{{a}}", "{{b|x}}", r"\1 \g<0> \n"])
def test_a_value_that_looks_like_a_placeholder_is_not_filled_in(value: str) -> None:
    assert text_for("{{a}}", Recipient(id="1", variables={"a": value, "b": "no"})) == value


def test_a_variable_called_name_overrides_the_recipients_name() -> None:
    assert Recipient(id="1", name="Ann", variables={"name": "Dr Ann"}).variable_values() == {"name": "Dr Ann"}


@pytest.mark.parametrize(
    "blank", ["", " ", "\t\r\n", "\u00a0", "\u200b", "\ufeff", "\u3164", "\u2800", " \u2060\u3000"]
)
def test_a_blank_value_counts_as_missing(blank: str) -> None:
    ben = Recipient(id="2", name=blank)

    assert problem(Content(text="Hello {{name}}!"), ben) == ContentProblem(
        "lacks {{name}}, which the text asks for", ("name",)
    )
    assert text_for("Hello {{name|friend}}!", ben) == "Hello friend!"


def test_every_string_is_filled_in() -> None:
    content = Content(
        text="Hello {{name}}",
        quick_replies=[
            QuickReply(title="Go, {{name}}", payload='{"who":{"name":"{{name}}"}}'),
            QuickReply(content_type="user_email", payload="{{ city }}"),
        ],
    )

    found = fill(content, ANN.variable_values())

    assert found == Content(
        text="Hello Ann",
        quick_replies=(
            QuickReply(title="Go, Ann", payload='{"who":{"name":"Ann"}}'),
            QuickReply(content_type="user_email", payload="Hà Nội"),
        ),
    )


def test_template_values_are_filled_in_at_any_depth_and_keys_are_not() -> None:
    template = {
        "template_type": "button",
        "{name}": 1,
        "text": "Hello {{name}}",
        "buttons": [
            {"type": "web_url", "url": "https://e.org/{{city}}", "title": "In {{city}}", "flag": True, "none": None},
            ["{{name}}", [{"image_url": "{{url}}"}]],
        ],
    }

    assert template_for(template) == {
        "template_type": "button",
        "{name}": 1,
        "text": "Hello Ann",
        "buttons": [
            {
                "type": "web_url",
                "url": "https://e.org/H%C3%A0%20N%E1%BB%99i",
                "title": "In Hà Nội",
                "flag": True,
                "none": None,
            },
            ["Ann", [{"image_url": "https://e.org/a?b=c"}]],
        ],
    }
    assert template["text"] == "Hello {{name}}", "the content itself does not change"


@pytest.mark.parametrize(
    ("url", "filled_in"),
    [
        ("{{url}}", "https://e.org/a?b=c"),
        ("{{ url }}&city={{city}}", "https://e.org/a?b=c&city=H%C3%A0%20N%E1%BB%99i"),
        ("https://e.org/{{url}}", "https://e.org/https%3A%2F%2Fe.org%2Fa%3Fb%3Dc"),
        ("https://{{name}}.e.org/?q={{nick|a b/c}}", "https://Ann.e.org/?q=a%20b%2Fc"),
        ("{{nick|https://e.org/a.png}}", "https://e.org/a.png"),
    ],
)
def test_values_in_a_url_are_percent_encoded_except_at_its_start(url: str, filled_in: str) -> None:
    assert url_for(url) == filled_in


def quick_reply(**fields: str) -> Content:
    return Content(text="Hello", quick_replies=[QuickReply(title="Yes"), QuickReply(**{"title": "No", **fields})])


def image(url: str) -> Content:
    return Content(attachment=Attachment(type="image", url=url))


def template(**fields: Any) -> Content:
    return Content(attachment=Attachment(type="template", template=fields))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Content(text="{{street}} {{city}} {{age}}"), "lacks {{age}}, {{street}}, which the text asks for"),
        (image("https://e.org/{{id}}"), "lacks {{id}}, which content.attachment.url asks for"),
        (quick_reply(payload="{{id}}"), "lacks {{id}}, which content.quick_replies[1].payload asks for"),
        (quick_reply(title="{{id}}", payload="{{id}}"), "lacks {{id}}, which the content asks for"),
        (
            template(a=[{"b c": "{{id}}"}]),
            'lacks {{id}}, which content.attachment.template.a[0]["b c"] asks for',
        ),
        (Content(text="{{nick|}} \u200b"), "makes a text that is blank"),
        (Content(text="{{name}}" + "x" * 1_998), "makes a text of 2,001 characters; at most 2,000 are allowed"),
        (quick_reply(title="{{nick|}}"), "makes a content.quick_replies[1].title that is blank"),
        (
            quick_reply(title="{{name}}" + "x" * 18),
            "makes a content.quick_replies[1].title of 21 characters; at most 20 are allowed",
        ),
        (
            quick_reply(payload="{{name}}" + "x" * 998),
            "makes a content.quick_replies[1].payload of 1,001 characters; at most 1,000 are allowed",
        ),
        (image("{{city}}"), "makes a content.attachment.url that is no http or https address"),
        (image("{{url}} "), "makes a content.attachment.url that is no http or https address"),
        (image("https://{{city}}/"), "makes a content.attachment.url that is no http or https address"),
        (image("https://{{nick|}}/"), "makes a content.attachment.url that is no http or https address"),
        (
            image("https://e.org/{{city}}" + "x" * 2_014),
            "makes a content.attachment.url of 2,049 characters; at most 2,048 are allowed",
        ),
        (
            template(buttons=[{"url": "{{name}}"}]),
            "makes a content.attachment.template.buttons[0].url that is no http or https address",
        ),
        (template(text="{{nick|}}"), "makes a content.attachment.template.text that is blank"),
        (
            template(text="{{name}}" + "x" * 1_998),
            "makes a content.attachment.template.text of 2,001 characters; at most 2,000 are allowed",
        ),
        (
            template(list=["{{name}}" + "x" * 1_997] * 26),
            f"makes a content.attachment.template of 52,000 characters; at most {MAX_TEMPLATE_LENGTH:,} are allowed",
        ),
        (
            template(list=["{{name}}"] * 2, plain="x" * 65_511),
            "makes a content.attachment.template of 65,544 bytes as JSON; at most 65,536 are allowed",
        ),
        (
            template(list=["{{emoji}}" * 250] * 20),
            "makes a content.attachment.template of 80,070 bytes as JSON; at most 65,536 are allowed",
        ),
        (
            template(text="{{city}}" * 100_000),
            "makes a content.attachment.template.text of 600,000 characters; at most 2,000 are allowed",
        ),
    ],
)
def test_a_content_problem_names_the_field_without_its_text(content: Content, words: str) -> None:
    assert problem(content).words == words


def test_strings_of_the_maximum_length_are_accepted() -> None:
    assert len(text_for("x" * (MAX_TEXT_LENGTH - 3) + "{{name}}")) == MAX_TEXT_LENGTH
    assert len(url_for("https://e.org/{{city}}" + "x" * 2_013)) == 2_048


def test_a_content_without_placeholders_is_returned_unchanged() -> None:
    content = Content(text="Hello", attachment=Attachment(type="template", template={"a": ["b"]}))

    assert FillableContent(content).fill({}) is content


def test_the_variables_of_all_strings_are_found() -> None:
    content = Content(
        text="{{a}} {{ b_2 }} {{a}} {c}",
        quick_replies=[QuickReply(title="{{c|}}", payload="{{d}}")],
        attachment=Attachment(type="template", url="{{e}}", template={"{{x}}": ["{{f}}", {"g": "{{g}}"}]}),
    )

    assert FillableContent(content).variables == {"a", "b_2", "c", "d", "e", "f", "g"}
    assert FillableContent(content, text_only=True).variables == {"a", "b_2"}


@pytest.mark.parametrize(
    ("content", "is_plain"),
    [
        (Content(text="Hello"), True),
        (Content(text="Hello {{name}}"), True),
        (Content(text="Hello {{name|}}"), False),
        (quick_reply(title="{{name}}"), False),
    ],
)
def test_a_content_is_plain_if_earlier_releases_fill_it_in_the_same_way(content: Content, is_plain: bool) -> None:
    assert FillableContent(content).is_plain is is_plain


def test_the_repr_of_a_content_hides_its_text() -> None:
    assert "offer" not in repr(Content(text="a secret offer"))
