"""Keys: secrets are sealed with the server's key, a message's text with a key of its own that is sealed in turn.

AES-256-GCM; what is sealed is bound to its context, so that a row copied to another page or message does not open.
"""

import base64
import binascii
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretKeyError(Exception):
    """REDRIVE_SECRET_KEY is not 32 bytes in base64."""


class SealingKey:
    """Seals and opens; its repr shows nothing."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    def seal(self, clear: bytes, context: str) -> bytes:
        """A nonce and the sealed bytes."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, clear, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed in this context; raises cryptography's InvalidTag for anything else."""
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())

    def derived(self, purpose: str) -> bytes:
        """A key for another purpose; it tells nothing about this one."""
        return hashlib.blake2b(purpose.encode(), key=self._key, digest_size=KEY_BYTES).digest()

    def sealed_with(self, other: "SealingKey", context: str) -> bytes:
        """This key, sealed with another."""
        return other.seal(self._key, context)


def new_key() -> SealingKey:
    """A random key."""
    return SealingKey(AESGCM.generate_key(KEY_BYTES * 8))


def parse_key(text: str) -> SealingKey:
    """The server's key from base64; raises SecretKeyError, which does not show it."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise SecretKeyError("REDRIVE_SECRET_KEY is not base64") from error
    if len(key) != KEY_BYTES:
        raise SecretKeyError(f"REDRIVE_SECRET_KEY holds {len(key)} bytes, not {KEY_BYTES}")
    return SealingKey(key)


def kept_key(path: Path) -> SealingKey:
    """The key beside an embedded database; made when it is not there, readable by its owner only."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return parse_key(path.read_text().strip())
    with os.fdopen(handle, "w") as file:
        file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode() + "\n")
    return parse_key(path.read_text().strip())
