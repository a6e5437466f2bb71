"""Callers and their scopes."""

from enum import StrEnum
from typing import Annotated

import msgspec

from domain.owner import ANY_OWNER


class Scope(StrEnum):
    """A permission; server/api/interceptors/scopes.py maps rpcs to scopes."""

    SEND = "send"
    READ = "read"
    RESEND = "resend"
    SCHEDULE = "schedule"
    PAGES = "pages"
    RECEIPTS = "receipts"
    ADMIN = "admin"


# An owner appears in logs and ids: no blanks, control characters or unpaired surrogates; `*` means every owner.
OWNER_PATTERN = r"^(?!\*\Z)[^\s\x00-\x1f\x7f\ud800-\udfff]{1,128}\Z"
Owner = Annotated[str, msgspec.Meta(pattern=OWNER_PATTERN)]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated caller."""

    owner: str  # the owner of the messages that it sends
    scopes: frozenset[Scope]
    sees: str  # the owner whose messages it may see and change, or ANY_OWNER
    serves: str = ANY_OWNER  # the owner for whose messages it may record receipts


def caller_with(owner: str, scopes: frozenset[Scope]) -> Caller:
    """Return an authenticated caller; the scope admin includes all others, and sees every owner."""
    is_admin = Scope.ADMIN in scopes
    return Caller(owner=owner, scopes=frozenset(Scope) if is_admin else scopes, sees=ANY_OWNER if is_admin else owner)


_LOCAL = "local"

# The caller of a server without authentication. It is no admin: messages of authenticated owners stay hidden from it.
LOCAL = Caller(owner=_LOCAL, scopes=frozenset(Scope), sees=_LOCAL, serves=_LOCAL)
