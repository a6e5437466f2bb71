"""Placeholders of a message text or URL before it is sent: which variables it uses, and the text for one recipient.

Placeholders are {{name}} and {{name|default}}. The default applies to recipients whose value is missing or blank. The
server fills in by the same rules (`domain/placeholders.py`); tests compare both.
"""

import re
from urllib.parse import quote

from redrive.v1.content_pb2 import Recipient

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*(?:\|([^{}]*))?\}\}")
# The server's definition of blank: spaces, control characters, and characters that show nothing.
_BLANK = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)


def variables_of(*texts: str) -> list[str]:
    """Return the variables that the texts use, each once, in order."""
    return list(dict.fromkeys(found[1] for text in texts for found in _PLACEHOLDER.finditer(text)))


def required_by(*texts: str) -> list[str]:
    """Return the variables that a text uses without a default, each once, in order."""
    asked = (found for text in texts for found in _PLACEHOLDER.finditer(text))
    return list(dict.fromkeys(found[1] for found in asked if found[2] is None))


def filled_in(text: str, recipient: Recipient) -> str:
    """Return the text for one recipient; a placeholder without value and default stays unchanged."""
    return _PLACEHOLDER.sub(lambda found: _value(found, recipient), text)


def filled_address(url: str, recipient: Recipient) -> str:
    """Return the URL for one recipient: values are percent-encoded, except one at the beginning."""

    def fill(found: re.Match[str]) -> str:
        value = _value(found, recipient)
        return value if not found.start() or value == found[0] else quote(value, safe="")

    return _PLACEHOLDER.sub(fill, url)


def lacks(recipient: Recipient, name: str) -> bool:
    """Return whether the recipient has no value for a variable, or a blank one."""
    return is_blank(_given(recipient, name))


def is_blank(text: str) -> bool:
    """Return whether a text is empty, or holds only spaces and invisible characters."""
    return _BLANK.fullmatch(text) is not None


def _given(recipient: Recipient, name: str) -> str:
    if name in recipient.variables:
        return recipient.variables[name]
    return recipient.name if name == "name" else ""


def _value(found: re.Match[str], recipient: Recipient) -> str:
    value = _given(recipient, found[1])
    if not is_blank(value):
        return value
    return found[0] if found[2] is None else found[2].strip()
