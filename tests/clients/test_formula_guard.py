"""No text of a CSV file begins a formula, and removing the guard restores the text."""

from hypothesis import given
from hypothesis import strategies as st

from redrive.recipients_csv.formula_guard import guarded, unguarded

TRICKY = st.text(st.sampled_from("=-+@';,|\t\n\r \"ab\ufeff\u200b\uff1d"), max_size=12)


@given(TRICKY)
def test_unguarding_restores_every_text(text: str) -> None:
    assert unguarded(guarded(text)) == text


@given(TRICKY)
def test_a_guarded_text_begins_no_formula(text: str) -> None:
    assert not guarded(text).lstrip(' "\t\r\n;,|\ufeff\u200b').startswith(("=", "+", "-", "@", "\uff1d"))


def test_text_of_delimiters_takes_linear_time() -> None:
    """A pattern with backtracking would take minutes."""
    for text in (";" * 200_000 + "x=", ";'" * 100_000, "'" * 200_000 + "=", " " * 200_000 + "=", ";=" * 100_000):
        assert unguarded(guarded(text)) == text
