"""Modules that server and client hold twice, because neither may import the other: each pair gives equal results."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import placeholders
from domain import visible_text as server_visible_text
from redrive import secret_text as client_secret_text
from redrive.recipients_csv import formula_guard as client_formula_guard
from redrive.recipients_csv import recipient_ids as client_recipient_ids
from redrive.texts import message_text
from redrive.texts import visible_text as client_visible_text
from server.api.validation import pages as server_secret_text
from server.api.validation import recipient_ids as server_recipient_ids
from server.queries import formula_guard as server_formula_guard

Twin = Callable[[str], Any]

TWINS: dict[str, tuple[Twin, Twin]] = {
    "one_line": (client_visible_text.one_line, server_visible_text.one_line),
    "shown": (client_visible_text.shown, server_visible_text.shown),
    "shown_lines": (client_visible_text.shown_lines, server_visible_text.shown_lines),
    "escaped_json": (client_visible_text.escaped_json, server_visible_text.escaped_json),
    "guarded": (client_formula_guard.guarded, server_formula_guard.guarded),
    "unguarded": (client_formula_guard.unguarded, server_formula_guard.unguarded),
    "id_problem": (client_recipient_ids.id_problem, server_recipient_ids.id_problem),
    "impossible_characters": (client_secret_text.impossible_characters, server_secret_text.impossible_characters),
    "is_blank": (message_text.is_blank, placeholders.is_blank),
}
# The first two planes, and the plane of tags and variation selectors; the others hold only ideographs and private use.
CHARACTERS = [chr(point) for point in (*range(0x20000), *range(0xE0000, 0xE1000))]
TRICKY = "=-+@';,|\t\n\r \"ab019_.:E(\u066b\u200b\u200d\u202e\u2066\ufeff\uff1d\u0661\x1b\x9b"
TEXTS = st.text(max_size=20) | st.text(st.sampled_from(TRICKY), max_size=12)


@pytest.mark.parametrize("name", TWINS)
@given(text=TEXTS)
def test_twins_give_equal_results_for_any_text(name: str, text: str) -> None:
    client, server = TWINS[name]

    assert client(text) == server(text)


@pytest.mark.parametrize("name", TWINS)
def test_twins_give_equal_results_for_every_character(name: str) -> None:
    client, server = TWINS[name]

    assert [character for character in CHARACTERS if client(character) != server(character)] == []


@pytest.mark.parametrize("name", TWINS)
def test_twins_give_equal_results_for_every_pair_of_tricky_characters(name: str) -> None:
    client, server = TWINS[name]

    texts = ["".join(pair) for pair in product(TRICKY, repeat=2)]
    assert [text for text in texts if client(text) != server(text)] == []


def test_twins_are_two_modules() -> None:
    """A comparison of a function with itself would prove nothing."""
    assert [name for name, (client, server) in TWINS.items() if client is server] == []
