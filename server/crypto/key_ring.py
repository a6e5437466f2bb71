"""Keys: secrets are sealed with the server's key, a message's text with a key of its own that is sealed in turn.

AES-256-GCM; what is sealed is bound to its context, so that a row copied to another page or message does not open.
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

    def is_same(self, other: "SealingKey") -> bool:
        """Both are one key."""
        return hmac.compare_digest(self.derived("comparison"), other.derived("comparison"))

    def sealed_with(self, other: "SealingKey", context: str) -> bytes:
        """This key, sealed with another."""
        return other.seal(self._key, context)


def new_key() -> SealingKey:
    """A random key."""
    return SealingKey(AESGCM.generate_key(KEY_BYTES * 8))


def random_key() -> str:
    """A new key in base64."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def parse_key(text: str, name: str = "REDRIVE_SECRET_KEY") -> SealingKey:
    """The server's key from base64; raises SecretKeyError, which names where it came from, and does not show it."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError as error:  # base64's own error is one
        raise SecretKeyError(f"{name} is not base64") from error
    if len(key) != KEY_BYTES:
        raise SecretKeyError(f"{name} holds {len(key)} bytes, not {KEY_BYTES}")
    return SealingKey(key)


def kept_key(path: Path) -> SealingKey:
    """The key beside an embedded database; made when it is not there, readable by its owner only."""
    if not path.exists():
        keep_key(path, random_key())
    return parse_key(path.read_text().strip(), str(path))


def keep_key(path: Path, key: str) -> None:
    """Writes a key (base64) to a file that its owner alone can read: whole, or not at all."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
