"""Who calls, and what that allows."""

from enum import StrEnum
from typing import Annotated

import msgspec

from domain.owner import ANYBODY

# What a caller may be allowed.


class Scope(StrEnum):
    """A part of the service; server/api/interceptors/scopes.py says which rpc needs which."""

    SEND = "send"
    READ = "read"
    RESEND = "resend"
    SCHEDULE = "schedule"
    PAGES = "pages"
    RECEIPTS = "receipts"
    ADMIN = "admin"


# Goes into logs and ids: no blanks, control characters or unpaired surrogates, and not the word for everybody.
OWNER_PATTERN = r"^(?!\*\Z)[^\s\x00-\x1f\x7f\ud800-\udfff]{1,128}\Z"
Owner = Annotated[str, msgspec.Meta(pattern=OWNER_PATTERN)]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is known."""

    owner: str  # of the messages that it sends
    scopes: frozenset[Scope]
    sees: str  # whose messages it may see and change: an owner's, or ANYBODY's
    serves: str = ANYBODY  # whose messages the platform's receipts are about


def known(owner: str, scopes: frozenset[Scope]) -> Caller:
    """A caller who has proved who it is."""
    is_admin = Scope.ADMIN in scopes
    return Caller(owner=owner, scopes=frozenset(Scope) if is_admin else scopes, sees=ANYBODY if is_admin else owner)


_LOCAL = "local"

# Everybody, where nobody is asked. It is no admin: what others have sent while callers were known stays theirs.
LOCAL = Caller(owner=_LOCAL, scopes=frozenset(Scope), sees=_LOCAL, serves=_LOCAL)
