"""Opens what the settings name for knowing callers, or says in words why that cannot be."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from server.access.auth_file import KnownByFile
from server.access.authentication import Authentication
from server.access.certificates import CertificateError, Certificates
from server.access.settings import AccessSettings
from server.access.signed_tokens import SignedTokens
from server.access.token_table import TokenTable
from server.log.commit import EventLog
from server.opening import StartRefusedError


def open_authentication(settings: AccessSettings, log: EventLog, now: Callable[[], datetime]) -> Authentication | None:
    """Who may call; None: nobody is asked. Raises StartRefusedError."""
    if not settings.knows_callers:
        return None
    return Authentication(
        now,
        file=_file(settings.auth_file) if settings.auth_file else None,
        table=TokenTable(log) if settings.auth == "database" else None,
        signed=_signed(settings, settings.jwt_jwks_file) if settings.jwt_jwks_file else None,
    )


def _file(path: Path) -> KnownByFile:
    try:
        return KnownByFile(path)
    except FileNotFoundError:
        words = f"REDRIVE_AUTH_FILE: there is no file {path}: `redrive-server tokens create` makes it"
        raise StartRefusedError(words) from None
    except (OSError, ValueError) as error:
        raise StartRefusedError(f"REDRIVE_AUTH_FILE: {path} cannot be used: {error}") from None


def _signed(settings: AccessSettings, path: Path) -> SignedTokens:
    try:
        return SignedTokens(issuer=settings.jwt_issuer, audience=settings.jwt_audience, jwks_file=path)
    except (OSError, ValueError) as error:
        raise StartRefusedError(f"REDRIVE_JWT_JWKS_FILE: {path} cannot be used: {error}") from None


def open_certificates(settings: AccessSettings) -> Certificates | None:
    """The server's certificate; None: no TLS. Raises StartRefusedError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    except CertificateError as error:
        raise StartRefusedError(str(error)) from None
