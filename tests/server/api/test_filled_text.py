"""Texts measured once agree with texts filled in for each recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content import MAX_TEXT_LENGTH, text_problem
from domain.errors import Violation
from domain.recipient import Recipient
from server.api.rules.filled_text import FilledText

NAMES = ("name", "city", "code")

pieces = st.one_of(
    st.sampled_from([f"{{{{{name}}}}}" for name in NAMES]),
    st.sampled_from(["{{ city }}", "{{", "}}", "{{no way}}", "{{{{code}}}}"]),
    st.integers(0, 700).map("x".__mul__),
)
texts = st.lists(pieces, max_size=8).map("".join)
fillings = st.one_of(st.just(""), st.integers(1, 700).map("y".__mul__), st.just("{{city}}"))
recipients = st.builds(
    Recipient, id=st.just("ann"), name=fillings, variables=st.dictionaries(st.sampled_from(NAMES), fillings)
)


def problems(text: str, *people: Recipient, first: int = 0) -> list[Violation]:
    return FilledText(text).violations(people, first=first)


@given(texts, recipients)
def test_a_recipient_has_a_problem_exactly_when_the_filled_in_text_has_one(text: str, recipient: Recipient) -> None:
    if FilledText(text).problem() is not None:
        assert text_problem(text, recipient) is not None
        return

    found = problems(text, recipient)

    expected = text_problem(text, recipient)
    assert found == ([] if expected is None else [Violation("recipients[0].variables", expected.words)])


@pytest.mark.parametrize(("length", "fits"), [(MAX_TEXT_LENGTH - 2, True), (MAX_TEXT_LENGTH - 1, False)])
def test_the_limit_counts_every_place_of_a_variable(length: int, fits: bool) -> None:
    text = "{{code}}{{code}}" + "x" * length

    assert (problems(text, Recipient(id="ann", variables={"code": "c"})) == []) is fits


def test_recipients_are_counted_from_where_their_part_begins() -> None:
    ann, bob = Recipient(id="ann", variables={"city": "Rome"}), Recipient(id="bob")

    [violation] = problems("{{city}}", ann, bob, first=1_000)

    assert violation.field == "recipients[1001].variables"
