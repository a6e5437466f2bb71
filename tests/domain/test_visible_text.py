"""Texts from outside lose the characters that are not seen and yet change what is seen."""

import json

import pytest

from domain.visible_text import escaped_json, one_line, shown, shown_lines

PLAIN = "Hello, Ada!"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # a word with the joiner that its spelling needs
RIGHT_TO_LEFT = "abc\u202edef"


@pytest.mark.parametrize("text", [PLAIN, "", "Grüße 👋"])
def test_a_visible_text_stays_as_it_is(text: str) -> None:
    assert (one_line(text), shown(text), shown_lines(text)) == (text, text, text)


@pytest.mark.parametrize("hidden", ["\x1b", "\x00", "\x7f", "\x9b", "\u202e", "\u200b", "\ufeff", "\ud800"])
def test_controls_and_invisible_characters_are_removed(hidden: str) -> None:
    text = f"a{hidden}b"

    assert (one_line(text), shown(text), shown_lines(text)) == ("ab", "ab", "ab")


def test_only_one_line_removes_joiners() -> None:
    assert (shown(PERSIAN), shown_lines(PERSIAN)) == (PERSIAN, PERSIAN)
    assert one_line(PERSIAN) == PERSIAN.replace("\u200c", "")


def test_tabs_and_line_ends_become_one_space_in_a_line() -> None:
    text = "a\t\r\n\u2028b"

    assert (one_line(text), shown(text)) == ("a b", "a b")


def test_line_ends_become_line_feeds_in_lines_and_tabs_stay() -> None:
    assert shown_lines("a\r\nb\rc\u2029d\te") == "a\nb\nc\nd\te"


@pytest.mark.parametrize("text", [PLAIN, RIGHT_TO_LEFT, "a\x7fb", "tag \U000e0041", "sheet \U0001d173"])
def test_escaped_json_has_the_same_value_without_harmful_characters(text: str) -> None:
    document = json.dumps({"text": text}, ensure_ascii=False)

    escaped = escaped_json(document)

    assert json.loads(escaped) == {"text": text}
    assert not {"\u202e", "\x7f", "\U0001d173"} & set(escaped)


def test_escaped_json_writes_pairs_beyond_the_basic_plane() -> None:
    assert escaped_json('"\u202e\U0001d173"') == '"\\u202e\\ud834\\udd73"'
