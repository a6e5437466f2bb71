"""A template has limits of size, values and levels, and the limit that it exceeds is named."""

from typing import Any

import pytest

from domain import template_size
from domain.content import Attachment, Content, exceeded_content_limit, template_strings
from domain.template_size import MAX_TEMPLATE_BYTES, MAX_TEMPLATE_DEPTH, MAX_TEMPLATE_NODES, exceeded_limit, json_size


def nested(levels: int) -> dict[str, Any]:
    """A template with so many levels of objects and lists, of which it is the first."""
    value: Any = "text"
    for level in range(levels - 1):
        value = [value] if level % 2 else {"a": value}
    return {"a": value}


def of_size(size: int) -> dict[str, Any]:
    return {"a": "x" * (size - len('{"a":""}'))}


def test_the_size_is_that_of_json_without_spaces_in_utf_8() -> None:
    assert json_size({"a": ["é", 1]}) == len('{"a":["é",1]}'.encode())


def test_a_template_within_all_limits_has_no_excess() -> None:
    assert exceeded_limit({}) is None
    assert exceeded_limit(of_size(MAX_TEMPLATE_BYTES)) is None
    assert exceeded_limit({"values": list(range(MAX_TEMPLATE_NODES - 1))}) is None
    assert exceeded_limit(nested(MAX_TEMPLATE_DEPTH)) is None


def test_too_many_bytes_are_named_with_their_number() -> None:
    assert exceeded_limit(of_size(MAX_TEMPLATE_BYTES + 1)) == "must have at most 65,536 bytes as JSON, has 65,537"


def test_too_many_values_are_named() -> None:
    assert exceeded_limit({"values": list(range(MAX_TEMPLATE_NODES))}) == "must have at most 1,000 values, has more"


def test_too_many_levels_are_named() -> None:
    assert exceeded_limit(nested(MAX_TEMPLATE_DEPTH + 1)) == "must have at most 10 levels, has more"


def test_a_template_of_any_depth_is_refused_without_encoding_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_size, "json_size", lambda template: pytest.fail("encoded"))

    assert exceeded_limit(nested(100_000)) == "must have at most 10 levels, has more"


def test_a_content_names_the_template_that_exceeds_a_limit() -> None:
    attachment = Attachment(type="template", template=nested(MAX_TEMPLATE_DEPTH + 1))

    assert exceeded_content_limit(Content(attachment=attachment)) == (
        "content.attachment.template must have at most 10 levels, has more"
    )
    assert exceeded_content_limit(Content(text="Hello")) is None


def test_the_strings_of_a_template_have_their_path() -> None:
    strings = template_strings({"elements": [{"title": "A", "image_url": ""}, {"title": "B"}]})

    paths = [string.path for string in strings if string.text]
    assert [string.text for string in strings if string.text] == ["A", "B"]
    assert len(set(paths)) == 2
    assert all("title" in path for path in paths)
