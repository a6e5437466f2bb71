"""Guards against formula injection: no spreadsheet takes a cell of a CSV file for a formula.

An apostrophe marks a text, as spreadsheets themselves write it. It is put in front of the cell, and in front of each
formula that would begin a cell if the file were read with another delimiter or without regard to quotation marks.

A deliberate twin of the client's module: neither package may import the other. `tests/test_twins.py` compares them.
"""

import re

_FORMULA = "=+@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212-"  # also full-width and small forms, minus
_BREAKS = ",;|\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029"  # characters that may end a cell: delimiters, line ends
# Characters that a spreadsheet skips before a formula: spaces, control and invisible characters, quotation marks.
_SKIPPED = (
    r"\s\x00-\x1f\x7f-\x9f\"'\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_FORMULA_CHARACTERS = frozenset(_FORMULA)
_BEGINS_FORMULA = re.compile(rf"[{_SKIPPED}{_BREAKS}]*+[{_FORMULA}]|'*+[\t\r\n]")
_SUSPECT = re.compile(rf"[{_FORMULA}]|\A'*+[\t\r\n]")
_INSIDE = re.compile(rf"[{_BREAKS}][{_SKIPPED}{_BREAKS}]*+")


def guarded(text: str) -> str:
    """Return the text as a CSV file holds it, without the quotation marks around the cell."""
    if _SUSPECT.search(text) is None:
        return text
    is_formula = _BEGINS_FORMULA.match(text) is not None
    text = _INSIDE.sub(lambda found: f"{found[0]}'" if _is_before_formula(found) else found[0], text)
    return f"'{text}" if is_formula else text


def unguarded(text: str) -> str:
    """Return the text before it was guarded; a text without guards stays unchanged."""
    if "'" not in text:
        return text
    if text[0] == "'" and _BEGINS_FORMULA.match(text, 1):
        text = text[1:]
    return _INSIDE.sub(lambda found: found[0].removesuffix("'") if _is_before_formula(found) else found[0], text)


def _is_before_formula(found: re.Match[str]) -> bool:
    return found.string[found.end() : found.end() + 1] in _FORMULA_CHARACTERS
