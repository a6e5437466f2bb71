"""Validation of recipient ids: hidden characters, quotation marks, numbers that a spreadsheet has changed.

A deliberate twin of `redrive.recipients_csv.recipient_ids`: neither package may import the other. `tests/test_twins.py`
compares them.
"""

import re
import unicodedata
from functools import lru_cache

_SURELY_FINE = re.compile(r"[0-9]+|[A-Za-z][A-Za-z0-9_:.-]*")
_DIGITS_ONLY = re.compile(r"[0-9]+(?:[_:-]+[0-9]+)*")  # also the ids of comments and posts: 1234_5678
_ERROR = re.compile(r"Err:[0-9]{3}")  # an error value of LibreOffice
_GROUPED = re.compile(r"[0-9]{1,3}(?:_[0-9]{2,3})+_[0-9]{3}")

# 1.2E+15 in the notations of all locales: also with a Cyrillic E, with Arabic letters, and as 1.2\u00d710^15.
_POINT = r"[.,\u066b'\u00b7\u22c5\u2219]"
_SIGN = r"[+\u2212-]"
_TIMES_TEN = r"[x\u00d7\u00b7\u22c5\u2219*]10"
_EXPONENT = rf"(?:ee?|[d\u0435\u23e8]|[\u0623\u0627]\u0633|{_TIMES_TEN}\^?)"
# Without a decimal point, only a few digits and an E are certainly a number: 12d-5, 1234e-5678 and 4x10-5 are ids.
_ROUNDED = re.compile(
    rf"{_SIGN}?(?:"
    rf"(?:[0-9]*|[0-9]{{1,3}}(?:{_POINT}[0-9]{{3}})+){_POINT}[0-9]*{_EXPONENT}{_SIGN}?[0-9]+"
    rf"|[0-9]{{1,3}}[e\u0435]{_SIGN}[0-9]{{1,3}}"
    rf"|[0-9]+{_TIMES_TEN}\^{_SIGN}?[0-9]+"
    r"|[0-9]{1,3}[e\u0435]0?[0-9]{1,2})",
    re.IGNORECASE,
)

_QUOTES_AND_DELIMITERS = frozenset("\"'`<>{},;|")
_LOOK_LIKE_QUOTES = frozenset(
    "\u02b9\u02ba\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u02ee\u055a\u05f3\u05f4\u2032\u2033\u2034\u2035\u2036\u2037"
    "\u275b\u275c\u275d\u275e\ua78c"
)
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc\ufffd")  # letters and symbols that show nothing
_CONTROLS = {
    0x00: "NULL",
    0x09: "CHARACTER TABULATION",
    0x0A: "LINE FEED",
    0x0B: "LINE TABULATION",
    0x0C: "FORM FEED",
    0x0D: "CARRIAGE RETURN",
    0x1B: "ESCAPE",
    0x7F: "DELETE",
    0x85: "NEXT LINE",
}


def id_problem(recipient_id: str) -> str:
    """Return why the text cannot be an id, showing at most one of its characters; empty for a valid id.

    Other code checks the length.
    """
    if _ERROR.fullmatch(recipient_id):
        return "is an error of a spreadsheet"
    if _SURELY_FINE.fullmatch(recipient_id):
        return ""
    if any(map(str.isdecimal, recipient_id)) and _ROUNDED.fullmatch(_plain(recipient_id)):
        return "is a number that a spreadsheet has rounded"
    if recipient_id[:1] in ("=", "\uff1d", "#", "\uff03"):
        return f"begins with {character_name(recipient_id[0])}, like a formula or an error of a spreadsheet"
    for character in recipient_id:
        if _is_forbidden(character):
            return f"holds {character_name(character)}"
    return _wrong_number(recipient_id)


def character_name(character: str) -> str:
    """Return the code point and the Unicode name, such as `U+200B ZERO WIDTH SPACE`."""
    code = ord(character)
    name = unicodedata.name(character, "") or _CONTROLS.get(code, "")
    return f"U+{code:04X} {name or '(without a name)'}"


def _plain(text: str) -> str:
    """Return the text as it looks: without hidden and enclosing characters, and with the digits 0-9."""
    shown = (character for character in unicodedata.normalize("NFKC", text) if not _is_forbidden_mark(character))
    return "".join(str(unicodedata.decimal(character, character)) for character in shown)


def _is_forbidden_mark(character: str) -> bool:
    """Return whether the character is not part of any notation of a number: spaces, quotation marks, brackets."""
    if character in ".,\u066b'":
        return False
    return (_is_forbidden(character) and not character.isdecimal()) or character in "=()[]"


@lru_cache(maxsize=4_096)
def _is_forbidden(character: str) -> bool:
    category = unicodedata.category(character)
    if category[0] in "CZM":  # controls, formats, surrogates; all spaces; combining marks
        return True
    if character.isascii():
        return character in _QUOTES_AND_DELIMITERS
    return (
        category[0] == "N"  # a digit other than 0-9
        or category in ("Pi", "Pf", "Ps", "Pe")  # typographic quotation marks and brackets
        or character in _LOOK_LIKE_QUOTES
        or character in _INVISIBLE
        or not _QUOTES_AND_DELIMITERS.isdisjoint(unicodedata.normalize("NFKC", character))
        or unicodedata.normalize("NFKC", character)[0] == " "  # an accent on its own
    )


def _wrong_number(recipient_id: str) -> str:
    """Return the problem of an id without letters."""
    if _GROUPED.fullmatch(recipient_id):
        return "is a number with thousands separators"
    if any(unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo") for character in recipient_id):
        return ""
    if _DIGITS_ONLY.fullmatch(recipient_id):
        return ""
    if any(map(str.isdecimal, recipient_id)):
        return "is a formatted number: digits alone are expected, without a sign, a decimal point or separators"
    return "holds neither a letter nor a digit"
