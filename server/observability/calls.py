"""What is told of calls: counted, timed, traced."""

import time
from collections.abc import Callable

from server.observability.metrics import Meters
from server.observability.tracing import Metadata, Tracing


class Calls:
    """Hears of each call from the edge."""

    def __init__(self, meters: Meters, tracing: Tracing | None) -> None:
        self._meters = meters
        self._tracing = tracing
        self._streams = {"WatchProgress": meters.watches, "SendStream": meters.sends}

    def begin(self, method: str, metadata: Metadata) -> Callable[[str], None]:
        """A call came; what this gives wants to know the status code's name when it ends."""
        ends = [self._measure(method)]
        if self._tracing is not None:
            ends.append(self._tracing.call(method, metadata))

        def end(code: str) -> None:
            for tell in ends:
                tell(code)

        return end

    def _measure(self, method: str) -> Callable[[str], None]:
        meters = self._meters
        started = time.perf_counter()
        open_ones = self._streams.get(method.rpartition("/")[2])
        if open_ones is not None:
            open_ones.inc()

        def end(code: str) -> None:
            if open_ones is not None:
                open_ones.dec()
            meters.calls.labels(method, code).inc()
            meters.call_seconds.labels(method).observe(time.perf_counter() - started)

        return end
