"""Authentication: from the credentials of a call to its caller."""

import hmac
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from server.auth.auth_file import FileCredentials
from server.auth.caller import Caller, caller_with
from server.auth.errors import CredentialsExpired, CredentialsInvalid, CredentialsMissing
from server.auth.signed_tokens import SignedTokens
from server.auth.tokens import Token, Tokens, hash_of

_SCHEME = "bearer"


class CallCredentials(NamedTuple):
    """The authorization headers of a call, and the names in its TLS certificate."""

    authorization: Sequence[str] = ()
    certificate_names: Sequence[str] = ()

    def __repr__(self) -> str:
        """Show no token."""
        return "CallCredentials()"


class Authentication:
    """Authenticates callers by token, by signed token (JWT) or by certificate; a token takes precedence."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        file: FileCredentials | None = None,
        table: Tokens | None = None,
        signed: SignedTokens | None = None,
    ) -> None:
        self._now = now
        self._file = file
        self._tokens = [tokens for tokens in (file, table) if tokens is not None]
        self._signed = signed

    async def caller(self, credentials: CallCredentials) -> Caller:
        """Return the caller; raises CredentialsMissing, CredentialsInvalid, CredentialsExpired, Unavailable."""
        if credentials.authorization:
            return await self._by_token(_bearer(credentials.authorization))
        if not credentials.certificate_names:
            raise CredentialsMissing
        caller = self._file and self._file.certified(credentials.certificate_names)
        if not caller:
            raise CredentialsInvalid("the certificate names no known client, and the call carries no token")
        return caller

    async def _by_token(self, secret: str) -> Caller:
        if self._signed is not None and secret.count(".") == 2:  # three parts: a JWT
            return self._signed.caller(secret)
        sha256 = hash_of(secret)
        for tokens in self._tokens:
            token = await tokens.find(sha256)
            if token is not None and hmac.compare_digest(token.sha256, sha256):
                return self._of(token)
        raise CredentialsInvalid

    def _of(self, token: Token) -> Caller:
        if token.expire_time is not None and token.expire_time <= self._now():
            raise CredentialsExpired
        return caller_with(token.owner, token.scopes)


def _bearer(headers: Sequence[str]) -> str:
    scheme, _, secret = headers[0].strip().partition(" ")
    if len(headers) > 1 or scheme.lower() != _SCHEME or not secret.strip():
        raise CredentialsInvalid("give one header `authorization: Bearer ...`")
    return secret.strip()
