"""Telemetry: metrics and traces of a process, each only if the settings ask for it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from server.eventstore.commit import EventLog
from server.messenger.channel import Channel
from server.observability.calls import ObservedCalls
from server.observability.database_metrics import DatabaseMetrics, Values
from server.observability.metrics import Metrics
from server.observability.metrics_page import MetricsPage, listening
from server.observability.observed_channel import ObservedChannel
from server.observability.observed_event_store import ObservedEventStore
from server.observability.tracing import Tracing

logger = structlog.get_logger()

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Telemetry:
    """Metrics if there is an address (HOST:PORT) for them, traces if an exporter is set."""

    def __init__(self, listen: str, tracing: Tracing | None) -> None:
        self._listen = listen
        self._tracing = tracing
        self._is_on = bool(listen) or tracing is not None
        self._metrics = Metrics()
        self.calls = ObservedCalls(self._metrics, tracing) if self._is_on else None

    def over_log(self, log: EventLog) -> EventLog:
        """Return the event store, observed if telemetry is on."""
        return ObservedEventStore(log, self._metrics, self._tracing) if self._is_on else log

    def over_channel(self, channel: Channel) -> Channel:
        """Return the channel, observed if telemetry is on."""
        return ObservedChannel(channel, self._metrics, self._tracing) if self._is_on else channel

    @asynccontextmanager
    async def shown(self, log: EventLog, paces: Callable[[], Values]) -> AsyncIterator[str]:
        """Serve the metrics and yield their address, empty without one; raises OSError if it cannot be used."""
        if not self._listen:
            yield ""
            return
        database = DatabaseMetrics(log, paces)
        self._metrics.registry.register(database)
        async with listening(MetricsPage(self._metrics.registry, database), self._listen) as address:
            logger.info("metrics_listening", address=address)
            yield address


@asynccontextmanager
async def open_telemetry(listen: str) -> AsyncIterator[Telemetry]:
    """Open telemetry, and export the remaining spans at the end; raises TracingRefusedError."""
    tracing = open_tracing()
    try:
        yield Telemetry(listen, tracing)
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


def open_tracing() -> Tracing | None:
    """Return traces as the standard OTEL_ variables ask for them; None, without loading OpenTelemetry, if they do not.

    Raises TracingRefusedError.
    """
    if not _is_enabled():
        return None
    from server.observability.otel import OtelTracing, exporter_of  # noqa: PLC0415 - costs 0.1 s and 10 MB

    return OtelTracing(exporter_of(os.environ.get("OTEL_TRACES_EXPORTER", "otlp")))


def _is_enabled() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter != "none" and bool(exporter or any(os.environ.get(name) for name in _ENDPOINTS))
