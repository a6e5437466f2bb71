"""Proof that the platform calls: the verify token of a subscription, and the signature of each body.

Source: the platform's documents, "Webhooks: Get Started": X-Hub-Signature-256 is `sha256=` and the HMAC-SHA256 of the
body as it was sent (texts are escaped in it: it must not be decoded first) in lower-case hex, under the app's secret.
"""

import hashlib
import hmac
import re

SIGNATURE_HEADER = "X-Hub-Signature-256"

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


class WebhookSecrets:
    """The verify token and the app secret; the repr shows neither."""

    def __init__(self, verify_token: str, app_secret: str) -> None:
        self._verify_token = verify_token.encode()
        self._app_secret = app_secret.encode()

    def is_subscription(self, mode: str, verify_token: str) -> bool:
        """Return whether a verification request holds the verify token entered in the app's dashboard."""
        given = verify_token.encode("utf-8", "surrogateescape")
        return mode == "subscribe" and hmac.compare_digest(given, self._verify_token)

    def is_genuine(self, body: bytes | bytearray, signature: str) -> bool:
        """Return whether the body was signed with the app secret."""
        expected = hmac.new(self._app_secret, body, hashlib.sha256).hexdigest()
        return is_signature(signature) and hmac.compare_digest(signature, f"sha256={expected}")


def is_signature(header: str) -> bool:
    """Return whether a header has the form of a signature; otherwise the body need not be read."""
    return _SIGNATURE.fullmatch(header) is not None
