"""An identity provider for tests: its key, its JWKS file, and signed tokens."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER, AUDIENCE = "https://login.example.org", "redrive"


class Provider:
    """Signs tokens with its own key."""

    def __init__(self, key_id: str = "k-1") -> None:
        self.key_id = key_id
        self._key = ec.generate_private_key(ec.SECP256R1())

    def write_keys(self, path: Path, *others: "Provider") -> Path:
        """Write the JWKS file and return its path."""
        keys = [{**_jwk(one), "kid": one.key_id} for one in (self, *others)]
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"keys": keys}))
        return fresh.replace(path)

    def token(self, scope: str = "", *, without: tuple[str, ...] = (), with_key_id: bool = True, **claims: Any) -> str:
        """Return a token for crm that is valid for an hour; claims override the defaults."""
        claimed = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "crm",
            "exp": int(time.time()) + 3_600,
            "scope": scope,
            **claims,
        }
        kept = {name: value for name, value in claimed.items() if name not in without}
        return jwt.encode(kept, self._key, algorithm="ES256", headers={"kid": self.key_id} if with_key_id else None)

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK."""
        return _jwk(self)


def unsigned(token: str) -> str:
    """Return the token's claims with an `alg: none` header and no signature."""
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k-1"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def _jwk(provider: Provider) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(provider._key.public_key()))
    return described
