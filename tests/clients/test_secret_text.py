"""Characters that no token holds are named without showing the token."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redrive import Client
from redrive.secret_text import impossible_characters


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("abc\u200b", "holds U+200B ZERO WIDTH SPACE (character 4 of 4)"),
        ("a bc", "holds U+0020 SPACE (character 2 of 4)"),
        ("abc\n", "holds U+000A LINE FEED"),
        ('"abc"', "holds U+0022 QUOTATION MARK"),
        ("Bearer abc", "begins with 'Bearer '"),
        ("ключ", "holds U+043A CYRILLIC SMALL LETTER KA"),
    ],
)
async def test_token_with_an_impossible_character_is_refused(token: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        Client("127.0.0.1:1", token=token)

    assert token not in str(caught.value)


@given(st.text())
def test_message_about_a_token_never_shows_it(token: str) -> None:
    words = impossible_characters(token)

    assert bool(words) or re.fullmatch(r"[!-~]*", token)
    assert len(token) < 8 or token not in words
