"""The rules of the requests about pages."""

import unicodedata
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from redrive.v1.page_pb2 import SendMode
from server.api.validation.field_kinds import (
    LINES,
    ONE_LINE,
    CallerName,
    MessagesPerSecond,
    PageId,
    PageSize,
    RequestId,
    SharedWith,
    broken_rule,
    known,
    up_to,
)
from server.api.validation.rule_set import Rules

MOST_SHARED = 100  # callers that a page is shared with


def _possible(secret: str) -> str:
    """Refuse what no header can carry here: the platform would be blamed for it. Nothing is trimmed."""
    if problem := impossible_characters(secret):
        raise broken_rule(problem)
    return secret


class PutPageRules(Rules):
    """PutPage."""

    page_id: PageId
    name: Annotated[str, up_to(200, ONE_LINE)] = ""
    access_token: Annotated[str, Field(max_length=2000), AfterValidator(_possible)] = ""
    app_secret: Annotated[str, Field(max_length=200), AfterValidator(_possible)] = ""
    messages_per_second: MessagesPerSecond = 0.0
    send_mode: Annotated[int, known(SendMode.DESCRIPTOR)] = 0
    request_id: RequestId = ""


class ListPagesRules(Rules):
    """ListPages."""

    page_size: PageSize = 0


class HoldPageRules(Rules):
    """HoldPage."""

    page_id: PageId
    reason: Annotated[str, up_to(200, LINES)] = ""
    request_id: RequestId = ""


class ReleasePageRules(Rules):
    """ReleasePage."""

    page_id: PageId
    request_id: RequestId = ""


class SharePageRules(Rules):
    """SharePage."""

    page_id: PageId
    shared_with: Annotated[list[SharedWith], Field(default_factory=list, max_length=MOST_SHARED)]
    request_id: RequestId = ""


class TransferPageRules(Rules):
    """TransferPage."""

    page_id: PageId
    owner: CallerName
    request_id: RequestId = ""


# Characters that no token or secret has, named without showing the text: a copy often brings one that is invisible.
#
# The client has the same module, as neither package imports the other; a test keeps them equal.


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
