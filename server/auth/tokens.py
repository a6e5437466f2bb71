"""Tokens: random, shown once, and kept as a hash."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple, Protocol

import msgspec

from server.auth.caller import Owner, Scope

Moment = Annotated[datetime, msgspec.Meta(tz=True)]

_PREFIX = "rdt_"  # lets scanners find a token that got into the wrong place
_BYTES = 32
_ID_BYTES = 4


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a token. Its secret has 256 bits of chance: a plain hash of it cannot be searched."""

    id: str
    owner: Owner
    scopes: frozenset[Scope]
    sha256: str
    create_time: Moment
    expire_time: Moment | None = None


class NewToken(NamedTuple):
    """A token just made, and its secret, which nobody can show again."""

    kept: Token
    secret: str


class Tokens(Protocol):
    """Where tokens are kept, as the service asks it."""

    async def find(self, sha256: str) -> Token | None:
        """The token with this hash, or None; raises Unavailable."""
        ...


def new_token(owner: str, scopes: Sequence[Scope], *, now: datetime, expire_time: datetime | None) -> NewToken:
    """A token that nobody has had before; raises ValueError for an owner that cannot be one."""
    secret = _PREFIX + secrets.token_urlsafe(_BYTES)
    fields = {
        "id": secrets.token_hex(_ID_BYTES),
        "owner": owner,
        "scopes": scopes,
        "sha256": hash_of(secret),
        "create_time": now,
        "expire_time": expire_time,
    }
    return NewToken(msgspec.convert(fields, Token), secret)


def hash_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def by_hash(tokens: Sequence[Token]) -> Mapping[str, Token]:
    """Tokens as they are looked up."""
    return {token.sha256: token for token in tokens}
