"""Calls, observed: counted, timed and traced."""

import time
from collections.abc import Callable

from server.observability.metrics import Metrics
from server.observability.tracing import Metadata, Tracing


class ObservedCalls:
    """Observes each call of the API."""

    def __init__(self, metrics: Metrics, tracing: Tracing | None) -> None:
        self._metrics = metrics
        self._tracing = tracing
        self._streams = {"WatchProgress": metrics.watches, "SendStream": metrics.sends}

    def begin(self, method: str, metadata: Metadata) -> Callable[[str], None]:
        """Note the start of a call; return a function to call with its status code at its end."""
        ends = [self._measure(method)]
        if self._tracing is not None:
            ends.append(self._tracing.call(method, metadata))

        def end(code: str) -> None:
            for one in ends:
                one(code)

        return end

    def _measure(self, method: str) -> Callable[[str], None]:
        metrics = self._metrics
        started = time.perf_counter()
        open_streams = self._streams.get(method.rpartition("/")[2])
        if open_streams is not None:
            open_streams.inc()

        def end(code: str) -> None:
            if open_streams is not None:
                open_streams.dec()
            metrics.calls.labels(method, code).inc()
            metrics.call_seconds.labels(method).observe(time.perf_counter() - started)

        return end
