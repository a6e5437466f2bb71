"""What is sent: the content of a message, and its text with a recipient's variables filled in."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.recipient import Recipient

MAX_TEXT_LENGTH = 2_000  # characters after filling in; the platform's limit for message.text
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file by its address, or a template by its payload; type in the platform's own words."""

    type: str
    url: str = ""
    is_reusable: bool = False
    template: dict[str, Any] | None = None


class QuickReply(msgspec.Struct, frozen=True, kw_only=True):
    """A button under the text."""

    content_type: str = "text"
    title: str = ""
    payload: str = ""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """One message as its sender wrote it; enum-like fields hold the platform's own words."""

    text: str = ""
    attachment: Attachment | None = None
    quick_replies: Sequence[QuickReply] = ()
    messaging_type: str = "UPDATE"
    tag: str = ""
    notification_type: str = "REGULAR"

    def __repr__(self) -> str:
        return "Content()"


class TextProblem(msgspec.Struct, frozen=True):
    """Why a recipient cannot be sent the text, in words that do not show it."""

    words: str


def placeholders(text: str) -> frozenset[str]:
    """The variables that a text asks for."""
    return frozenset(_PLACEHOLDER.findall(text))


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """The text with every {{variable}} replaced; raises KeyError for one that is not there."""
    return _PLACEHOLDER.sub(lambda found: variables[found.group(1)], text)


def text_problem(text: str, recipient: Recipient) -> TextProblem | None:
    """What keeps a text from being filled in for a recipient, or None."""
    fillings = recipient.fillings()
    missing = sorted(placeholders(text) - fillings.keys())
    if missing:
        return TextProblem(f"lacks {', '.join('{{' + name + '}}' for name in missing)}, which the text asks for")
    length = len(fill_in(text, fillings))
    if length > MAX_TEXT_LENGTH:
        return TextProblem(f"makes a text of {length:,} characters; at most {MAX_TEXT_LENGTH:,} are allowed")
    return None
