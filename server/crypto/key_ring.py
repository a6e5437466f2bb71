"""Sealing keys, and the server's key as text and as a file.

The server's key seals secrets and the keys of messages; a message's own key seals its content. "To seal" is to encrypt
with AES-256-GCM, bound to a context, so that a row that is copied to another page or message does not open.
"""

import base64
import hashlib
import hmac
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretKeyError(Exception):
    """REDRIVE_SECRET_KEY is not 32 bytes in base64."""


class SealingKey:
    """Encrypts and decrypts with one key. Its repr does not show the key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    def seal(self, clear: bytes, context: str) -> bytes:
        """Return a random nonce followed by the encrypted bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, clear, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed in this context; raises cryptography's InvalidTag for anything else."""
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())

    def derive(self, purpose: str) -> bytes:
        """Return a key for another purpose. This key cannot be computed from it."""
        return hashlib.blake2b(purpose.encode(), key=self._key, digest_size=KEY_BYTES).digest()

    def is_same(self, other: "SealingKey") -> bool:
        """Return whether both are the same key, in constant time."""
        return hmac.compare_digest(self.derive("comparison"), other.derive("comparison"))

    def sealed_with(self, other: "SealingKey", context: str) -> bytes:
        """Return this key, sealed with another."""
        return other.seal(self._key, context)


def new_key() -> SealingKey:
    """Return a new random key."""
    return SealingKey(AESGCM.generate_key(KEY_BYTES * 8))


def random_key() -> str:
    """Return a new random key in base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def parse_key(text: str, name: str = "REDRIVE_SECRET_KEY") -> SealingKey:
    """Return the key that a base64 text holds.

    Raises SecretKeyError, which contains `name` (the setting or file that the text came from) and not the text.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as error:  # base64's own error is one
        raise SecretKeyError(f"{name} is not base64") from error
    if len(key) != KEY_BYTES:
        raise SecretKeyError(f"{name} holds {len(key)} bytes, not {KEY_BYTES}")
    return SealingKey(key)


def load_or_create_key(path: Path) -> SealingKey:
    """Return the key of an embedded database from its file. Create the file, readable by its owner only, if missing."""
    if not path.exists():
        write_key(path, random_key())
    return parse_key(path.read_text().strip(), str(path))


def write_key(path: Path, key: str) -> None:
    """Write a base64 key atomically to a file that only its owner can read."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
