"""Rules of the requests about pages."""

import unicodedata
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from redrive.v1.page_pb2 import SendMode
from server.api.validation.field_types import (
    LINES,
    ONE_LINE,
    CallerName,
    MessagesPerSecond,
    PageId,
    PageSize,
    RequestId,
    SharedWith,
    enum_value,
    rule_error,
    text_up_to,
)
from server.api.validation.rule_set import Rules

MAX_SHARED_WITH = 100  # callers

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


def _secret(secret: str) -> str:
    """Refuse characters that no token holds: the platform would only answer that the token is invalid."""
    if problem := impossible_characters(secret):
        raise rule_error(problem)
    return secret


class PutPageRules(Rules):
    """PutPage."""

    page_id: PageId
    name: Annotated[str, text_up_to(200, ONE_LINE)] = ""
    access_token: Annotated[str, Field(max_length=2000), AfterValidator(_secret)] = ""
    app_secret: Annotated[str, Field(max_length=200), AfterValidator(_secret)] = ""
    messages_per_second: MessagesPerSecond = 0.0
    send_mode: Annotated[int, enum_value(SendMode.DESCRIPTOR)] = 0
    request_id: RequestId = ""


class ListPagesRules(Rules):
    """ListPages."""

    page_size: PageSize = 0


class HoldPageRules(Rules):
    """HoldPage."""

    page_id: PageId
    reason: Annotated[str, text_up_to(200, LINES)] = ""
    request_id: RequestId = ""


class ReleasePageRules(Rules):
    """ReleasePage."""

    page_id: PageId
    request_id: RequestId = ""


class SharePageRules(Rules):
    """SharePage."""

    page_id: PageId
    shared_with: Annotated[list[SharedWith], Field(default_factory=list, max_length=MAX_SHARED_WITH)]
    request_id: RequestId = ""


class TransferPageRules(Rules):
    """TransferPage."""

    page_id: PageId
    owner: CallerName
    request_id: RequestId = ""


def impossible_characters(text: str) -> str:
    """Return which characters no token can hold, by code point, Unicode name and place; empty if all are fine.

    The result does not show the text. Possible are the printable ASCII characters except spaces, quotation marks, angle
    brackets, backslashes, commas and semicolons. A deliberate twin of `redrive.secret_text`: neither package may import
    the other. `tests/test_twins.py` compares them.
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
