"""Errors of authentication and authorization; no text repeats what the caller presented."""

from domain.errors import RedriveError


class Unauthenticated(RedriveError):
    """The caller is not authenticated."""


class CredentialsMissing(Unauthenticated):
    """The call carries no credentials."""

    reason = "CREDENTIALS_MISSING"

    def __init__(self) -> None:
        super().__init__("this server requires a token, as in `authorization: Bearer ...` (REDRIVE_TOKEN)")


class CredentialsInvalid(Unauthenticated):
    """The credentials are unknown, revoked or not genuine."""

    reason = "CREDENTIALS_INVALID"

    def __init__(self, message: str = "the token is unknown, revoked or not genuine") -> None:
        super().__init__(message)


class CredentialsExpired(Unauthenticated):
    """The credentials have expired."""

    reason = "CREDENTIALS_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the token has expired: get another one")


class PermissionDenied(RedriveError):
    """The caller is authenticated, but not permitted to do this."""


class ScopeMissing(PermissionDenied):
    """The caller lacks the required scope."""

    reason = "SCOPE_MISSING"

    def __init__(self, scope: str) -> None:
        super().__init__(f"this needs the scope '{scope}'", scope=scope)


class RpcNotListed(PermissionDenied):
    """No scope is listed for the rpc, so every caller is refused."""

    reason = "RPC_NOT_LISTED"

    def __init__(self) -> None:
        super().__init__("no scope is set for this rpc")
