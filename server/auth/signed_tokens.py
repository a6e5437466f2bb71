"""JWTs: tokens that an identity provider has signed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import msgspec

from server.auth.caller import OWNER_PATTERN, Caller, Scope, known
from server.auth.refusals import CredentialsExpired, CredentialsInvalid
from server.auth.watched_file import WatchedFile

# Never "none", never a shared secret: whoever can check a token must not be able to make one.
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
    """Takes JWTs of one issuer, meant for one audience."""

    def __init__(self, *, issuer: str, audience: str, jwks_file: Path) -> None:
        """Raises OSError, and ValueError for a file that is no JWKS with an asymmetric key."""
        self._issuer = issuer
        self._audience = audience
        self._keys = WatchedFile(jwks_file, _keys)

    def caller(self, token: str) -> Caller:
        """Whose token it is; raises CredentialsInvalid, CredentialsExpired."""
        try:
            return _caller(self._claims(token))
        except jwt.ExpiredSignatureError:
            raise CredentialsExpired from None
        except jwt.PyJWTError:
            raise CredentialsInvalid from None  # the library's words may show claims

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
        """The key of this id; one that is alone needs none."""
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
        raise ValueError('holds no key to check signatures with: it must be a JWKS, {"keys": [...]}, of public keys')
    return keys


def _usable(described: dict[str, Any]) -> jwt.PyJWK | None:
    """A set may hold keys that are not for us, or that nobody here understands: they are passed over (RFC 7517, 5)."""
    if described.get("kty") not in _ASYMMETRIC or described.get("use") == "enc" or "d" in described:
        return None
    try:
        return jwt.PyJWK.from_dict(described)
    except (jwt.PyJWTError, TypeError):
        return None


def _caller(claims: Mapping[str, Any]) -> Caller:
    """The owner stands in `sub`; in `scope`, scopes that are none of ours mean nothing."""
    owner, scopes = claims["sub"], claims.get("scope", "")
    if not isinstance(owner, str) or re.match(OWNER_PATTERN, owner) is None:
        raise CredentialsInvalid("the token's `sub` must be a name of 1 to 128 characters without blanks")
    named = scopes.split() if isinstance(scopes, str) else ()
    return known(owner, frozenset(map(Scope, _SCOPES.intersection(named))))
