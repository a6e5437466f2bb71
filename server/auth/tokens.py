"""Tokens: random, shown once, and stored as a hash."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, NamedTuple, Protocol

import msgspec

from server.auth.caller import Owner, Scope

Moment = Annotated[datetime, msgspec.Meta(tz=True)]

_PREFIX = "rdt_"  # lets secret scanners recognise a leaked token
_BYTES = 32
_ID_BYTES = 4


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stored token. Its secret has 256 random bits, so its plain hash cannot be guessed."""

    id: str
    owner: Owner
    scopes: frozenset[Scope]
    sha256: str
    create_time: Moment
    expire_time: Moment | None = None


class NewToken(NamedTuple):
    """A created token and its secret, which is shown once."""

    kept: Token
    secret: str


class Tokens(Protocol):
    """A source of tokens."""

    async def find(self, sha256: str) -> Token | None:
        """Return the token with this hash, or None; raises Unavailable."""
        ...


def new_token(owner: str, scopes: Sequence[Scope], *, now: datetime, expire_time: datetime | None) -> NewToken:
    """Create a token; raises ValueError for a malformed owner."""
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
    """Return the hash of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def by_hash(tokens: Sequence[Token]) -> Mapping[str, Token]:
    """Return the tokens by hash."""
    return {token.sha256: token for token in tokens}
