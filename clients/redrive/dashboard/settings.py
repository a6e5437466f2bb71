"""Settings of the dashboard: how it reaches the server, and where browsers reach it."""

import ipaddress
from dataclasses import dataclass

from redrive.client import Client

CALL_SECONDS = 20.0  # for one call with all its attempts; a user waits for it


@dataclass(frozen=True, kw_only=True)
class DashboardSettings:
    """`names` are the host names that browsers may use, besides IP addresses and localhost."""

    server: str
    tls: bool = False
    root_certificates: bytes | None = None
    client_certificate: tuple[bytes, bytes] | None = None  # a chain and its key, for a server that requires one
    host: str = "127.0.0.1"
    port: int = 8080
    names: tuple[str, ...] = ()

    def connect(self, token: str | None) -> Client:
        """Return a client for a caller. Raises ValueError for a token that no server can have issued."""
        return Client(
            self.server,
            token=token,
            tls=self.tls,
            root_certificates=self.root_certificates,
            client_certificate=self.client_certificate,
            timeout=CALL_SECONDS,
        )

    def is_own_name(self, name: str) -> bool:
        """Return whether a Host header may hold this name. A foreign name means an attack (DNS rebinding)."""
        return name.lower() in map(str.lower, ("localhost", self.host, *self.names)) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
