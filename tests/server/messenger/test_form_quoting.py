"""The fast quoting equals the standard library's."""

import json
from urllib.parse import quote_plus

from hypothesis import example, given
from hypothesis import strategies as st

from server.messenger.request import quote_again, quote_json


@given(st.text())
@example("".join(map(chr, range(128))))
def test_json_is_quoted_as_quote_plus_does(text: str) -> None:
    in_json = json.dumps(text)
    assert quote_json(in_json) == quote_plus(in_json)


@given(st.text())
@example("".join(map(chr, range(128))))
def test_quoted_text_is_quoted_again_as_quote_plus_does(text: str) -> None:
    quoted = quote_plus(text)
    assert quote_again(quoted) == quote_plus(quoted)


def test_lines_stay_separate() -> None:
    assert quote_json('"a b"\n"c"') == "%22a+b%22\n%22c%22"
