"""Checks of the addresses, certificates and authentication."""

import errno
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from server.bootstrap import StartRefusedError, open_authentication, open_certificates
from server.cli.doctor.finding import Finding, ok, problem, warning
from server.eventstore.commit import EventLog
from server.settings import Settings


def examine(settings: Settings) -> Sequence[Finding]:
    """Check the addresses, the certificates and the authentication of callers."""
    metrics = [_examine_address("metrics", settings.metrics_listen)] if settings.metrics_listen else []
    return [_examine_address("listen", settings.listen), *metrics, _examine_access(settings)]


def _examine_address(check: str, listen: str) -> Finding:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, int(port)), family=family).close()
    except OSError as error:
        return _in_use(check, listen, error)
    return ok(check, f"{listen} is free")


def _in_use(check: str, listen: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return warning(check, f"another process listens on {listen}", "if that is not this server, set another address")
    return problem(check, f"{listen} cannot be used: {error.strerror}", "set an address of this machine")


def _examine_access(settings: Settings) -> Finding:
    try:
        open_certificates(settings)
        # The event store is read when a caller arrives, and none does here.
        open_authentication(settings, cast("EventLog", None), lambda: datetime.now(UTC))
    except StartRefusedError as error:
        return problem("access", str(error), "correct the setting: without it the server does not start")
    if not settings.knows_callers:
        return ok("access", "callers are not authenticated, and only this machine can call")
    if settings.tls_cert is None and not settings.is_local:
        remedy = "set REDRIVE_TLS_CERT and REDRIVE_TLS_KEY, or let a proxy do TLS"
        return warning("access", "callers' tokens are sent unencrypted", remedy)
    return ok("access", "callers are authenticated")
