"""The server's TLS certificate and the authorities of callers' certificates, read again when the files change."""

import ssl
from pathlib import Path
from typing import NamedTuple

import structlog

from server.auth.reloaded_file import Stamp, stamp_of

logger = structlog.get_logger()

CERT, KEY, CLIENT_CA = "REDRIVE_TLS_CERT", "REDRIVE_TLS_KEY", "REDRIVE_TLS_CLIENT_CA"


class CertificateError(Exception):
    """A file holds no certificate, or not its key; the text names the setting."""


class Pems(NamedTuple):
    """The content of the files, in PEM; without client_ca, callers need no certificate."""

    chain: bytes
    key: bytes
    client_ca: bytes | None

    def __repr__(self) -> str:
        """Show no key."""
        return "Pems()"


class Certificates:
    """The certificate files, checked."""

    def __init__(self, chain: Path, key: Path, client_ca: Path | None) -> None:
        """Read the files; raises CertificateError."""
        self._chain = chain
        self._key = key
        self._client_ca = client_ca
        self._stamps = self._read_stamps()
        self.pems = self._read()

    @property
    def are_asked_of_callers(self) -> bool:
        """Return whether TLS is mutual."""
        return self._client_ca is not None

    def renewed(self) -> Pems | None:
        """Return the files' content if it has changed; None if not, or while the files do not match each other."""
        stamps = self._read_stamps()
        if stamps == self._stamps:
            return None
        self._stamps = stamps
        try:
            self.pems = self._read()
        except CertificateError as error:
            logger.warning("certificates_not_renewed", problem=str(error))
            return None
        logger.info("certificates_renewed")
        return self.pems

    def _read_stamps(self) -> list[Stamp]:
        return [stamp_of(path) for path in (self._chain, self._key, self._client_ca) if path is not None]

    def _read(self) -> Pems:
        chain, key = _content(CERT, self._chain), _content(KEY, self._key)
        client_ca = None if self._client_ca is None else _content(CLIENT_CA, self._client_ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError):
            reason = f"{CERT} and {KEY}: {self._chain} and {self._key} must be a certificate and its key, both in PEM"
            raise CertificateError(reason) from None
        if client_ca is not None:
            _check_authorities(context, client_ca, self._client_ca)
        return Pems(chain, key, client_ca)


def _check_authorities(context: ssl.SSLContext, pem: bytes, path: Path | None) -> None:
    try:
        context.load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise CertificateError(f"{CLIENT_CA}: {path} holds no certificates in PEM") from None


def _content(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{setting}: {path} cannot be read: {error.strerror}") from None


def _no_password() -> str:
    """Refuse encrypted keys: a server cannot ask for a password."""
    raise ValueError("the key must not be encrypted")
