"""Settings of the webhook endpoint; secrets come from the environment, never from the command line."""

import unicodedata
from pathlib import Path

import msgspec

VERIFY_TOKEN = "REDRIVE_WEBHOOK_VERIFY_TOKEN"  # noqa: S105 - the names of variables, not what they hold
APP_SECRET = "REDRIVE_WEBHOOK_APP_SECRET"  # noqa: S105

SHORTEST_SECRET = 4  # characters; a shorter one can be guessed. App secrets have 32, an operator chooses the other
# Invisible characters that Unicode classifies as letters, marks or symbols.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | frozenset(
    map(chr, range(0xFE00, 0xFE10))
)
_NAMES_OF_CONTROLS = {"\t": "CHARACTER TABULATION", "\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\x7f": "DELETE"}


def secret_problem(secret: str) -> str:
    """Return why a text cannot be a secret, without showing it; empty if it can be one."""
    if not secret:
        return "is not set"
    shown = [character for character in secret if character != " " and not _is_invisible(character)]
    if not shown:
        return "is blank"
    if secret != secret.strip():
        return f"begins or ends with white space ({_name(secret[0] if secret[0].isspace() else secret[-1])})"
    hidden = next((place for place, character in enumerate(secret, start=1) if _is_invisible(character)), 0)
    if hidden:
        return f"holds {_name(secret[hidden - 1])} (character {hidden:,} of {len(secret):,}), which cannot be seen"
    if len(shown) < SHORTEST_SECRET:
        return f"has {len(shown)} characters, and at least {SHORTEST_SECRET} are needed"
    return ""


def _is_invisible(character: str) -> bool:
    """Return whether a character is a control or format character, an unusual space, a surrogate, or has no shape."""
    return (character != " " and unicodedata.category(character)[0] in "CZ") or character in _INVISIBLE


def _name(character: str) -> str:
    name = unicodedata.name(character, "") or _NAMES_OF_CONTROLS.get(character, "a control character")
    return f"U+{ord(character):04X} {name}"


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one run; the repr shows no secret."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 = any free one
    server: str
    verify_token: str
    app_secret: str
    token: str | None = None  # sent with each call to the server
    tls: bool = False
    root_certificates: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    @property
    def client_certificate(self) -> tuple[bytes, bytes] | None:
        """Return the client certificate's chain and key for mutual TLS; raises OSError, ValueError."""
        if self.client_cert is None and self.client_key is None:
            return None
        if self.client_cert is None or self.client_key is None:
            raise ValueError("a certificate and its key go together: give both --client-cert and --client-key")
        return self.client_cert.read_bytes(), self.client_key.read_bytes()

    def __repr__(self) -> str:
        return f"WebhookSettings({self.host}:{self.port}, server={self.server!r})"
