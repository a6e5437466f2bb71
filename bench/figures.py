"""What one run came to."""

import msgspec


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One contender's run. What the caller used is not in it."""

    messages: int
    seconds: float  # from the first call until the last status is durable
    worker_cpu_seconds: float  # of the processes that do the work
    store_cpu_seconds: float  # of Redis or PostgreSQL; 0 where the store is part of the worker
    peak_memory_bytes: int  # of all of them together, shared pages counted once
    endpoint_cpu_seconds: float  # none of the contender's, but where it nears the seconds the endpoint is the limit

    @property
    def messages_per_second(self) -> float:
        """Messages sent a second."""
        return self.messages / self.seconds

    @property
    def cpu_seconds_per_thousand(self) -> float:
        """Processor seconds of workers and store for 1,000 messages."""
        return (self.worker_cpu_seconds + self.store_cpu_seconds) / self.messages * 1_000

    @property
    def endpoint_load(self) -> float:
        """The share of one core that the endpoint used."""
        return self.endpoint_cpu_seconds / self.seconds

    @property
    def worker_cpu_seconds_per_thousand(self) -> float:
        """The workers' part of it."""
        return self.worker_cpu_seconds / self.messages * 1_000
