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

    def __repr__(self) -> str:
        return f"WebhookSettings({self.host}:{self.port}, server={self.server!r})"
