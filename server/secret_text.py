"""Characters that no token or secret has, named without showing the text: a copy often brings one that is invisible.

The client has the same module, as neither package imports the other; a test keeps them equal.
"""

import unicodedata
from collections.abc import Iterator

_BEARER = "bearer "
_NEVER = frozenset("\"'`<>\\,;")  # what surrounds a token where it was copied from
_NAMES_OF_CONTROLS = {
    "\0": "NULL",
    "\t": "CHARACTER TABULATION",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\x7f": "DELETE",
}
_NAMED = 3  # the first few; a text of another kind altogether has many


def impossible_characters(text: str) -> str:
    """Return what a token cannot hold, by code point and Unicode name, in words; empty if it can be one.

    Printable ASCII characters but spaces, quotes, angle brackets, backslashes, commas and semicolons are possible.
    """
    if text.lower().startswith(_BEARER):
        return "begins with 'Bearer ' (U+0020 SPACE): give the token alone"
    found = list(_impossible(text))
    if not found:
        return ""
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"holds {', '.join(found[:_NAMED])}{more}: copy it again without"


def _impossible(text: str) -> Iterator[str]:
    for number, character in enumerate(text, start=1):
        if character in _NEVER or not "!" <= character <= "~":
            name = unicodedata.name(character, "") or _NAMES_OF_CONTROLS.get(character, "a character without a name")
            yield f"U+{ord(character):04X} {name} (character {number:,} of {len(text):,})"
