"""How the webhook endpoint is set up; what is secret comes from the environment, never from the command line."""

from pathlib import Path

import msgspec

VERIFY_TOKEN = "REDRIVE_WEBHOOK_VERIFY_TOKEN"  # noqa: S105 - the names of variables, not what they hold
APP_SECRET = "REDRIVE_WEBHOOK_APP_SECRET"  # noqa: S105


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Stays the same for as long as the endpoint runs; its repr shows no secret."""

    host: str = "127.0.0.1"
    port: int = 0  # 0 = any free one
    server: str
    verify_token: str
    app_secret: str
    token: str | None = None  # with each call of the server
    tls: bool = False
    root_certificates: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None

    @property
    def client_certificate(self) -> tuple[bytes, bytes] | None:
        """What is shown to a server that asks who calls: a chain and its key; raises OSError, ValueError."""
        if self.client_cert is None and self.client_key is None:
            return None
        if self.client_cert is None or self.client_key is None:
            raise ValueError("a certificate and its key go together: give both --client-cert and --client-key")
        return self.client_cert.read_bytes(), self.client_key.read_bytes()

    def __repr__(self) -> str:
        return f"WebhookSettings({self.host}:{self.port}, server={self.server!r})"
