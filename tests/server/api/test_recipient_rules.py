"""The fast check of a recipient agrees with the rules: it accepts no recipient that a rule rejects."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redrive.v1.content_pb2 import Recipient as GivenRecipient
from server.api.mapping.content import recipients
from server.api.validation.recipients import passes_quick_check
from tests.server.api.rule_checks import violations


def given_recipient(**fields: object) -> GivenRecipient:
    return GivenRecipient(**{"id": "ann", **fields})  # type: ignore[arg-type]


def is_sure(given: GivenRecipient) -> bool:
    [recipient] = recipients([given])
    return passes_quick_check(recipient)


def around(limit: int, characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return a strategy for short texts, and for one that is repeated to about the limit."""
    long = st.builds(
        lambda text, over: (text * limit)[: limit + over], st.text(characters, min_size=1), st.integers(-1, 1)
    )
    return st.one_of(st.text(characters, max_size=5), long)


# Spaces and similar characters, NUL, characters of two to four bytes, and line ends that patterns often mishandle.
odd = st.sampled_from("\0\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2009\u200b\u2028\u3000\ufeffa_é漢😀-.")
characters = st.one_of(odd, st.characters(codec="utf-8"))
given_recipients = st.builds(
    given_recipient,
    id=around(128, characters),
    name=around(200, characters),
    variables=st.dictionaries(
        st.one_of(around(64, st.sampled_from("aZ9_")), around(64, characters)), around(1_000, characters), max_size=3
    ),
)


@given(given_recipients)
@example(given_recipient(id="ann\n"))
@example(given_recipient(variables={"city\n": "Rome"}))
def test_a_recipient_that_the_fast_check_accepts_breaks_no_rule(given: GivenRecipient) -> None:
    if is_sure(given):
        assert violations(given) == {}


def test_the_fast_check_accepts_no_character_that_the_rules_refuse() -> None:
    surely = [character for character in map(chr, range(0xD800)) if is_sure(given_recipient(id=f"a{character}b"))]

    assert len(surely) > 50_000
    assert [character for character in surely if violations(given_recipient(id=f"a{character}b"))] == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": "i" * 128},
        {"id": "Nguyễn-漢字.😀"},
        {"name": "n" * 200},
        {"name": "Two words: Nguyễn 漢字 😀"},
        {"variables": {"k" * 64: "v" * 1_000}},
        {"variables": {f"v{number}": "" for number in range(50)}},
    ],
)
def test_the_fast_check_accepts_values_at_the_limit(fields: dict[str, object]) -> None:
    assert is_sure(given_recipient(**fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": "i" * 129},
        {"id": "a b"},
        {"id": "a\0"},
        {"name": "n" * 201},
        *({"name": f"a{control}b"} for control in "\0\x08\x0b\x1b\x7f\x85\x9b"),
        {"variables": {f"v{number}": "" for number in range(51)}},
        {"variables": {"k" * 65: ""}},
        {"variables": {"a-b": ""}},
        {"variables": {"": ""}},
        {"variables": {"city": "v" * 1_001}},
        {"variables": {"city": "\0"}},
    ],
)
def test_the_fast_check_does_not_accept_invalid_values(fields: dict[str, object]) -> None:
    assert violations(given_recipient(**fields))
    assert not is_sure(given_recipient(**fields))
