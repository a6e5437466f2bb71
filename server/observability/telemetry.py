"""What is seen from outside, put together; where nobody asks for it, nothing stands between the parts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from server.eventstore.commit import EventLog
from server.messenger.channel import Channel
from server.observability.calls import Calls
from server.observability.database_metrics import Sight, Values
from server.observability.metrics import Meters
from server.observability.metrics_page import MetricsPage, listening
from server.observability.observed_channel import ObservedChannel
from server.observability.observed_event_store import ObservedLog
from server.observability.tracing import Tracing, open_tracing

logger = structlog.get_logger()


class Telemetry:
    """Metrics where they have an address (HOST:PORT), traces where an exporter is set."""

    def __init__(self, listen: str, tracing: Tracing | None) -> None:
        self._listen = listen
        self._tracing = tracing
        self._is_on = bool(listen) or tracing is not None
        self._meters = Meters()
        self.calls = Calls(self._meters, tracing) if self._is_on else None

    def over_log(self, log: EventLog) -> EventLog:
        """The log, observed."""
        return ObservedLog(log, self._meters, self._tracing) if self._is_on else log

    def over_channel(self, channel: Channel) -> Channel:
        """The channel, observed."""
        return ObservedChannel(channel, self._meters, self._tracing) if self._is_on else channel

    @asynccontextmanager
    async def shown(self, log: EventLog, paces: Callable[[], Values]) -> AsyncIterator[str]:
        """Shows the metrics, and gives their address; empty if they have none. Raises OSError when it is taken."""
        if not self._listen:
            yield ""
            return
        sight = Sight(log, paces)
        self._meters.registry.register(sight)
        async with listening(MetricsPage(self._meters.registry, sight), self._listen) as address:
            logger.info("metrics_listening", address=address)
            yield address


@asynccontextmanager
async def open_telemetry(listen: str) -> AsyncIterator[Telemetry]:
    """Telemetry as it is asked for; at the end what there is of traces is handed over. Raises TracingRefusedError."""
    tracing = open_tracing()
    try:
        yield Telemetry(listen, tracing)
    finally:
        if tracing is not None:
            await asyncio.to_thread(tracing.close)
