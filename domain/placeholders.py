"""The grammar of placeholders, {{name}} and {{name|default}}, and what counts as blank.

A name is made of letters (A to Z), digits and underscores. A default is any text without braces, and may be empty.
Spaces around the name and around the default do not count.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

import msgspec

_PLACEHOLDER = re.compile(r"(\{\{\s*[A-Za-z0-9_]+\s*(?:\|[^{}]*)?\}\})")

# Spaces, control characters, what Unicode calls Default_Ignorable_Code_Point, and two more that show nothing: a Braille
# cell without dots, and the marks of interlinear annotations.
_INVISIBLE = (
    r"\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BLANK = re.compile(f"[{_INVISIBLE}]*")
_WEB_ADDRESS = re.compile(f"(?i:https?)://[^{_INVISIBLE}]+")


class Placeholder(msgspec.Struct, frozen=True):
    """A variable that a string asks for; without a default every recipient must have a value that is not blank."""

    name: str
    default: str | None = None

    def value(self, fillings: Mapping[str, str]) -> str | None:
        """Return what a recipient's fillings put in its place; None where they lack it and there is no default."""
        value = fillings.get(self.name, "")
        return self.default if is_blank(value) else value


class Fillable:
    """A string, parsed once to be filled in for many recipients.

    In a url values are percent-encoded, except for a placeholder that begins it: that one holds the beginning of an
    address, or all of it.
    """

    def __init__(self, text: str, *, is_url: bool = False) -> None:
        self._pieces: Sequence[str] = _PLACEHOLDER.split(
            text
        )  # fixed text and placeholders as they are written, in turns
        self._is_url = is_url
        self.placeholders: Mapping[str, Placeholder] = {written: _parsed(written) for written in self._pieces[1::2]}
        self.count = len(self._pieces) // 2
        self.fixed = self._pieces[::2]  # the text between placeholders, one piece more than there are placeholders

    @property
    def begins_with_placeholder(self) -> bool:
        """Whether no fixed text comes before the first placeholder."""
        return self.count > 0 and not self._pieces[0]

    def least_length(self, values: Mapping[str, str]) -> int:
        """Return the length of the string with these values, without making it; percent-encoding adds to it."""
        return sum(map(len, self.fixed)) + sum(len(values[written]) for written in self._pieces[1::2])

    def filled(self, values: Mapping[str, str]) -> str:
        """Return the string with a value in place of each placeholder; values are known by how it is written.

        A value that looks like a placeholder itself stays as it is.
        """
        pieces = list(self._pieces)
        if not self._is_url:
            pieces[1::2] = [values[written] for written in self._pieces[1::2]]
            return "".join(pieces)
        pieces[1::2] = [quote(values[written], safe="") for written in self._pieces[1::2]]
        if self.begins_with_placeholder:
            pieces[1] = values[self._pieces[1]]
        return "".join(pieces)


def _parsed(written: str) -> Placeholder:
    name, bar, default = written[2:-2].partition("|")
    return Placeholder(name.strip(), default.strip() if bar else None)


def is_blank(text: str) -> bool:
    """Return whether a text has nothing to be seen: it is empty, or all spaces and invisible characters."""
    if "!" <= text[:1] <= "~":  # what nearly every text begins with
        return False
    return _BLANK.fullmatch(text) is not None


def is_web_address(url: str) -> bool:
    """Return whether a url is an http or https address with a host, without spaces and invisible characters."""
    if _WEB_ADDRESS.fullmatch(url) is None:
        return False
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and host != "" and "%" not in host
