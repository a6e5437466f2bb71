"""How a caller is turned away. No text says anything of what it presented."""

from domain.errors import RedriveError


class Unauthenticated(RedriveError):
    """Nobody knows who calls."""


class CredentialsMissing(Unauthenticated):
    """The call carries nothing that says who calls."""

    reason = "CREDENTIALS_MISSING"

    def __init__(self) -> None:
        super().__init__("this server asks who calls: give a token, as in `authorization: Bearer ...` (REDRIVE_TOKEN)")


class CredentialsInvalid(Unauthenticated):
    """What it carries is unknown, revoked or not genuine."""

    reason = "CREDENTIALS_INVALID"

    def __init__(self, words: str = "the token is unknown, revoked or not genuine") -> None:
        super().__init__(words)


class CredentialsExpired(Unauthenticated):
    """What it carries was good once."""

    reason = "CREDENTIALS_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the token has expired: get another one")


class PermissionDenied(RedriveError):
    """The caller is known, and may not do this."""


class ScopeMissing(PermissionDenied):
    """Its scopes do not hold the one that is needed."""

    reason = "SCOPE_MISSING"

    def __init__(self, scope: str) -> None:
        super().__init__(f"this needs the scope '{scope}'", scope=scope)


class RpcNotListed(PermissionDenied):
    """Nobody has said yet who may do this, so nobody may."""

    reason = "RPC_NOT_LISTED"

    def __init__(self) -> None:
        super().__init__("no scope is set for this rpc")
