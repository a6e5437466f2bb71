"""Characters that no token or secret holds: named without showing the text, because a copied token often gains one.

A deliberate twin of the module in `server`: neither package may import the other. `tests/test_twins.py` compares them.
"""

import unicodedata
from collections.abc import Iterator

_BEARER = "bearer "
_NEVER = frozenset("\"'`<>\\,;")  # characters that surround a token in the source of a copy
_NAMES_OF_CONTROLS = {
    "\0": "NULL",
    "\t": "CHARACTER TABULATION",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\x7f": "DELETE",
}
_NAMED = 3  # characters that are named; a text that is no token has many more


def impossible_characters(text: str) -> str:
    """Return which characters no token can hold, by code point, Unicode name and place; empty if all are fine.

    Possible are the printable ASCII characters except spaces, quotation marks, angle brackets, backslashes, commas and
    semicolons.
    """
    if text.lower().startswith(_BEARER):
        return "begins with 'Bearer ' (U+0020 SPACE): give the token alone"
    found = list(_impossible(text))
    if not found:
        return ""
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"holds {', '.join(found[:_NAMED])}{more}: copy it again without them"


def _impossible(text: str) -> Iterator[str]:
    for number, character in enumerate(text, start=1):
        if character in _NEVER or not "!" <= character <= "~":
            name = unicodedata.name(character, "") or _NAMES_OF_CONTROLS.get(character, "a character without a name")
            yield f"U+{ord(character):04X} {name} (character {number:,} of {len(text):,})"
