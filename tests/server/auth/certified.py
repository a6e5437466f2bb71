"""Certificates for tests: a certificate authority and the certificates that it signs."""

import datetime
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Certified:
    """A certificate with its key, in PEM."""

    chain: bytes
    key: bytes

    def write(self, folder: Path, name: str = "server") -> tuple[Path, Path]:
        """Write certificate and key to files of this name, and return their paths."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        for path, content in ((chain, self.chain), (key, self.key)):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)
        return chain, key


@dataclass(frozen=True)
class Authority:
    """A certificate authority."""

    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate in PEM."""
        return self._signed("an authority", [], self._key, is_authority=True).public_bytes(PEM)

    def certify(self, name: str, *alternative_names: str) -> Certified:
        """Return a certificate with this common name and these DNS names."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        chain = self._signed(name, list(alternative_names), key).public_bytes(PEM)
        return Certified(chain, private)

    def _signed(
        self, name: str, alternative_names: list[str], key: ec.EllipticCurvePrivateKey, *, is_authority: bool = False
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named("an authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if alternative_names:
            names = x509.SubjectAlternativeName([x509.DNSName(one) for one in alternative_names])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
