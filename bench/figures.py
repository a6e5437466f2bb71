"""Figures of one run."""

import msgspec


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one run of a contender, without the calling process."""

    messages: int
    seconds: float  # from the first call until the last status is durable
    worker_cpu_seconds: float  # of the worker processes
    store_cpu_seconds: float  # of Redis or PostgreSQL; 0 when the store runs in the worker
    peak_memory_bytes: int  # of all processes together; shared pages count once
    endpoint_cpu_seconds: float  # not the contender's; when it is close to `seconds`, the endpoint limits the run

    @property
    def messages_per_second(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds

    @property
    def cpu_seconds_per_thousand(self) -> float:
        """CPU seconds of workers and store per 1,000 messages."""
        return (self.worker_cpu_seconds + self.store_cpu_seconds) / self.messages * 1_000

    @property
    def endpoint_load(self) -> float:
        """Share of one core that the endpoint used."""
        return self.endpoint_cpu_seconds / self.seconds

    @property
    def worker_cpu_seconds_per_thousand(self) -> float:
        """CPU seconds of the workers per 1,000 messages."""
        return self.worker_cpu_seconds / self.messages * 1_000
