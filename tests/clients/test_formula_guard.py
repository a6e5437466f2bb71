"""No text of a CSV file begins a formula, and a reader that knows the guard gets the text back."""

import inspect

from hypothesis import given
from hypothesis import strategies as st

from domain import visible_text as servers_text
from redrive import formula_guard, visible_text
from redrive.formula_guard import guarded, unguarded
from server.queries import export as servers

TRICKY = st.text(st.sampled_from("=-+@';,|\t\n\r \"ab\ufeff\u200b\uff1d"), max_size=12)


def test_server_and_client_guard_alike() -> None:
    assert inspect.getsource(formula_guard) == inspect.getsource(servers)
    assert inspect.getsource(visible_text) == inspect.getsource(servers_text)


@given(TRICKY)
def test_every_text_comes_back(text: str) -> None:
    assert unguarded(guarded(text)) == text


@given(TRICKY)
def test_a_guarded_text_begins_no_formula(text: str) -> None:
    assert not guarded(text).lstrip(' "\t\r\n;,|\ufeff\u200b').startswith(("=", "+", "-", "@", "\uff1d"))


def test_a_text_that_consists_of_delimiters_costs_no_more_than_another() -> None:
    """A pattern that tries each of them again would take minutes."""
    for text in (";" * 200_000 + "x=", ";'" * 100_000, "'" * 200_000 + "=", " " * 200_000 + "=", ";=" * 100_000):
        assert unguarded(guarded(text)) == text
