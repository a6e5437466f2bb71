"""JWTs: accepted and rejected tokens, and the callers they identify."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from domain.owner import ANY_OWNER
from server.auth.caller import Scope
from server.auth.errors import CredentialsExpired, CredentialsInvalid
from server.auth.signed_tokens import SignedTokens
from tests.server.auth.provider import AUDIENCE, ISSUER, Provider, unsigned


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def keys(provider: Provider, tmp_path: Path) -> Path:
    return provider.write_keys(tmp_path / "jwks.json")


@pytest.fixture
def signed(keys: Path) -> SignedTokens:
    return SignedTokens(issuer=ISSUER, audience=AUDIENCE, jwks_file=keys)


def test_a_token_identifies_the_caller_and_its_scopes(provider: Provider, signed: SignedTokens) -> None:
    caller = signed.caller(provider.token("openid send read"))

    assert (caller.owner, caller.sees) == ("crm", "crm")
    assert caller.scopes == {Scope.SEND, Scope.READ}


def test_an_admin_has_every_scope_and_sees_all_owners(provider: Provider, signed: SignedTokens) -> None:
    caller = signed.caller(provider.token("admin", sub="root"))

    assert (caller.owner, caller.sees, caller.scopes) == ("root", ANY_OWNER, frozenset(Scope))


def test_a_token_without_scopes_allows_nothing(provider: Provider, signed: SignedTokens) -> None:
    for token in (provider.token(without=("scope",)), provider.token(scope=["send"])):  # type: ignore[arg-type]
        assert not signed.caller(token).scopes


def test_an_expired_token_is_refused_as_expired(provider: Provider, signed: SignedTokens) -> None:
    with pytest.raises(CredentialsExpired):
        signed.caller(provider.token("send", exp=int(time.time()) - 3_600))


@pytest.mark.parametrize("missing", ["exp", "iss", "aud", "sub"])
def test_a_token_without_a_required_claim_is_refused(missing: str, provider: Provider, signed: SignedTokens) -> None:
    with pytest.raises(CredentialsInvalid):
        signed.caller(provider.token("send", without=(missing,)))


@pytest.mark.parametrize(
    "claims",
    [
        *({"iss": "https://elsewhere.example.org"}, {"aud": "another service"}, {"nbf": int(time.time()) + 3_600}),
        *({"sub": ""}, {"sub": "*"}, {"sub": "two words"}, {"sub": "x" * 129}, {"sub": "a\x00b"}, {"sub": "a\n"}),
        {"sub": "\ud800"},  # a string that cannot be encoded
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    claims: dict[str, Any], provider: Provider, signed: SignedTokens
) -> None:
    with pytest.raises(CredentialsInvalid):
        signed.caller(provider.token("send", **claims))


def test_an_unsigned_token_is_refused(provider: Provider, signed: SignedTokens) -> None:
    with pytest.raises(CredentialsInvalid):
        signed.caller(unsigned(provider.token("admin")))


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(
    provider: Provider, signed: SignedTokens
) -> None:
    secret = provider.public_jwk()["x"]
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "crm", "exp": int(time.time()) + 60, "scope": "admin"}

    with pytest.raises(CredentialsInvalid):
        signed.caller(jwt.encode(claims, secret, algorithm="HS256", headers={"kid": provider.key_id}))


def test_a_token_of_another_provider_is_refused(signed: SignedTokens) -> None:
    for other in (Provider(), Provider("k-2")):
        with pytest.raises(CredentialsInvalid):
            signed.caller(other.token("admin"))


@pytest.mark.parametrize("token", ["..", "a.b.c", "", "ey.ey.ey", "é.b.c"])
def test_text_that_is_not_a_token_is_refused(token: str, signed: SignedTokens) -> None:
    with pytest.raises(CredentialsInvalid):
        signed.caller(token)


def test_a_single_key_needs_no_key_id(provider: Provider, signed: SignedTokens) -> None:
    assert signed.caller(provider.token("send", with_key_id=False)).owner == "crm"


def test_keys_are_reloaded_without_a_restart(provider: Provider, keys: Path, signed: SignedTokens) -> None:
    follower = Provider("k-2")
    follower.write_keys(keys, provider)
    assert signed.caller(follower.token("send")).owner == signed.caller(provider.token("send")).owner

    follower.write_keys(keys)

    with pytest.raises(CredentialsInvalid):
        signed.caller(provider.token("send"))


@pytest.mark.parametrize(
    "described",
    [
        {"kty": "RSA", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"},
        {"kty": "RSA", "alg": ["RS256"], "n": "AQAB", "e": "AQAB"},
        *({"kty": ["RSA"]}, {"kty": "EC"}, {"kty": "OKP", "crv": "X25519", "x": "AAAA"}),
    ],
)
def test_an_unusable_key_does_not_affect_the_other_keys(
    described: dict[str, Any], provider: Provider, tmp_path: Path
) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{**described, "kid": "k-2"}, {**provider.public_jwk(), "kid": "k-1"}]}))

    signed = SignedTokens(issuer=ISSUER, audience=AUDIENCE, jwks_file=path)

    assert signed.caller(provider.token("send")).owner == "crm"


@pytest.mark.parametrize("algorithm", ["RS256", "unknown"])
def test_a_private_key_is_refused_and_not_shown(algorithm: str, tmp_path: Path) -> None:
    described = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 2_048)))
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{**described, "alg": algorithm}]}))

    with pytest.raises(ValueError, match="holds no key") as refused:
        SignedTokens(issuer=ISSUER, audience=AUDIENCE, jwks_file=path)

    assert described["d"][:8] not in str(refused.value)


@pytest.mark.parametrize("content", ["", "[]", '{"keys": []}', '{"keys": [{"kty": "EC"}]}', '{"keys": [3]}'])
def test_a_file_without_keys_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(content)

    with pytest.raises(ValueError, match=r".+"):
        SignedTokens(issuer=ISSUER, audience=AUDIENCE, jwks_file=path)


def test_a_shared_secret_in_the_file_is_not_used_as_a_key(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k-1"}]}))

    with pytest.raises(ValueError, match="holds no key"):
        SignedTokens(issuer=ISSUER, audience=AUDIENCE, jwks_file=path)
