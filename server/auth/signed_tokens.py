"""Signed tokens: JWTs of an identity provider."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import msgspec

from server.auth.caller import OWNER_PATTERN, Caller, Scope, caller_with
from server.auth.errors import CredentialsExpired, CredentialsInvalid
from server.auth.reloaded_file import ReloadedFile

# Asymmetric only, and never "none": a server that verifies tokens must not be able to create them.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
REQUIRED = ("exp", "iss", "aud", "sub")
LEEWAY_SECONDS = 10
_ASYMMETRIC = ("RSA", "EC", "OKP")
_SCOPES = {scope.value for scope in Scope}

Keys = Mapping[str, jwt.PyJWK]  # by their ids


class _KeySet(msgspec.Struct, frozen=True):
    """A JWKS (RFC 7517)."""

    keys: list[dict[str, Any]]


class SignedTokens:
    """Verifies the JWTs of one issuer for one audience."""

    def __init__(self, *, issuer: str, audience: str, jwks_file: Path) -> None:
        """Read the key set; raises OSError, and ValueError for a file without an asymmetric key."""
        self._issuer = issuer
        self._audience = audience
        self._keys = ReloadedFile(jwks_file, _keys)

    def caller(self, token: str) -> Caller:
        """Return the caller that a token names; raises CredentialsInvalid, CredentialsExpired."""
        try:
            return _caller(self._claims(token))
        except jwt.ExpiredSignatureError:
            raise CredentialsExpired from None
        except jwt.PyJWTError:
            raise CredentialsInvalid from None  # the library's text may show claims

    def _claims(self, token: str) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            self._key(jwt.get_unverified_header(token).get("kid")),
            algorithms=ALGORITHMS,
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_SECONDS,
            options={"require": list(REQUIRED)},
        )
        return claims

    def _key(self, key_id: object) -> jwt.PyJWK:
        """Return the key with this id; a set of one key needs no id."""
        keys = self._keys.latest()
        if key_id is None and len(keys) == 1:
            return next(iter(keys.values()))
        if not isinstance(key_id, str) or key_id not in keys:
            raise CredentialsInvalid
        return keys[key_id]


def _keys(raw: bytes) -> Keys:
    described = msgspec.json.decode(raw, type=_KeySet).keys
    found = {str(key.get("kid", place)): _usable(key) for place, key in enumerate(described)}
    keys = {key_id: key for key_id, key in found.items() if key is not None}
    if not keys:
        raise ValueError('holds no key that verifies signatures: it must be a JWKS, {"keys": [...]}, of public keys')
    return keys


def _usable(described: dict[str, Any]) -> jwt.PyJWK | None:
    """Return the key; None for one of another use or of an unknown kind, which RFC 7517, section 5, says to ignore."""
    if described.get("kty") not in _ASYMMETRIC or described.get("use") == "enc" or "d" in described:
        return None
    try:
        return jwt.PyJWK.from_dict(described)
    except (jwt.PyJWTError, TypeError):
        return None


def _caller(claims: Mapping[str, Any]) -> Caller:
    """Take the owner from `sub` and the scopes from `scope`; unknown scopes are ignored."""
    owner, scopes = claims["sub"], claims.get("scope", "")
    if not isinstance(owner, str) or re.match(OWNER_PATTERN, owner) is None:
        raise CredentialsInvalid("the token's `sub` must be a name of 1 to 128 characters without blanks")
    named = scopes.split() if isinstance(scopes, str) else ()
    return caller_with(owner, frozenset(map(Scope, _SCOPES.intersection(named))))
