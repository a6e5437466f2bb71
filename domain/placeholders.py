"""The grammar of placeholders, {{name}} and {{name|default}}, and the test for blank texts.

A name consists of letters (A to Z), digits and underscores. A default is any text without braces, and may be empty.
Spaces around the name and around the default are ignored.
"""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

import msgspec

_PLACEHOLDER = re.compile(r"(\{\{\s*[A-Za-z0-9_]+\s*(?:\|[^{}]*)?\}\})")

# Spaces, control characters, Unicode's Default_Ignorable_Code_Point, and two other invisible kinds: the Braille cell
# without dots, and the marks of interlinear annotations.
_INVISIBLE = (
    r"\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_BLANK = re.compile(f"[{_INVISIBLE}]*")
_WEB_ADDRESS = re.compile(f"(?i:https?)://[^{_INVISIBLE}]+")


class Placeholder(msgspec.Struct, frozen=True):
    """A variable used in a string; without a default every recipient needs a value that is not blank."""

    name: str
    default: str | None = None

    def value(self, variables: Mapping[str, str]) -> str | None:
        """Return the recipient's value, or the default if that is blank; None if there is no default either."""
        value = variables.get(self.name, "")
        return self.default if is_blank(value) else value


class Fillable:
    """A string, parsed once and filled in for many recipients.

    In a URL the values are percent-encoded, except for a placeholder at its start: its value is the start of an
    address, or a whole address.
    """

    def __init__(self, text: str, *, is_url: bool = False) -> None:
        self._pieces: Sequence[str] = _PLACEHOLDER.split(text)  # fixed texts and placeholder sources, alternating
        self._is_url = is_url
        self.placeholders: Mapping[str, Placeholder] = {source: _parse(source) for source in self._pieces[1::2]}
        self.count = len(self._pieces) // 2
        self.fixed = self._pieces[::2]  # the texts between placeholders, one more than there are placeholders

    @property
    def begins_with_placeholder(self) -> bool:
        """Whether there is no fixed text before the first placeholder."""
        return self.count > 0 and not self._pieces[0]

    def least_length(self, values: Mapping[str, str]) -> int:
        """Return the length of the string with these values, without building it; percent-encoding may lengthen it."""
        return sum(map(len, self.fixed)) + sum(len(values[source]) for source in self._pieces[1::2])

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the string with each placeholder replaced by its value; `values` maps placeholder sources to values.

        A value that looks like a placeholder is not filled in again.
        """
        pieces = list(self._pieces)
        if not self._is_url:
            pieces[1::2] = [values[source] for source in self._pieces[1::2]]
            return "".join(pieces)
        pieces[1::2] = [quote(values[source], safe="") for source in self._pieces[1::2]]
        if self.begins_with_placeholder:
            pieces[1] = values[self._pieces[1]]
        return "".join(pieces)


def _parse(source: str) -> Placeholder:
    name, bar, default = source[2:-2].partition("|")
    return Placeholder(name.strip(), default.strip() if bar else None)


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: it is empty, or has only spaces and invisible characters."""
    if "!" <= text[:1] <= "~":  # fast path: nearly every text starts with a visible ASCII character
        return False
    return _BLANK.fullmatch(text) is not None


def is_web_address(url: str) -> bool:
    """Return whether a URL is an http or https address with a host, and has no spaces or invisible characters."""
    if _WEB_ADDRESS.fullmatch(url) is None:
        return False
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and host != "" and "%" not in host
