"""Runs the dashboard until it is stopped."""

import uvicorn

from redrive.dashboard.application import build_application
from redrive.dashboard.settings import DashboardSettings


async def serve(settings: DashboardSettings) -> None:
    """Serves until SIGTERM or Ctrl+C."""
    application = build_application(settings)
    # Addresses hold ids of messages only, but even these are nobody's business: no access log.
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    await uvicorn.Server(config).serve()
