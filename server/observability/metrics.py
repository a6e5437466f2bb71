"""The metrics of a process, by the names that alert rules and dashboards use."""

import sys
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

_ATTEMPT_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_CALL_SECONDS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters and histograms of one process, in a registry of their own; see DatabaseMetrics for the gauges."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.messages = Counter(
            "redrive_messages_accepted", "Messages accepted by this process.", registry=self.registry
        )
        self.recipients = Counter(
            "redrive_recipients_accepted", "Recipients of the messages accepted.", registry=self.registry
        )
        self.deliveries = Counter(
            "redrive_deliveries",
            "Attempts by recorded outcome; an attempt with a late outcome counts again.",
            ("outcome", "error_type"),
            registry=self.registry,
        )
        self.attempt_seconds = Histogram(
            "redrive_attempt_seconds",
            "From sending a request to its outcome; a Graph batch is one request.",
            ("send_mode",),
            buckets=_ATTEMPT_SECONDS,
            registry=self.registry,
        )
        self.commit_seconds = Histogram(
            "redrive_commit_seconds",
            "From submitting a commit to its result.",
            buckets=_COMMIT_SECONDS,
            registry=self.registry,
        )
        self.commits = Counter("redrive_commits", "Commits by result.", ("result",), registry=self.registry)
        self.watches = Gauge("redrive_watch_streams", "Open WatchProgress streams.", registry=self.registry)
        self.sends = Gauge("redrive_send_streams", "Open SendStream calls.", registry=self.registry)
        self.calls = Counter("redrive_calls", "Finished calls.", ("method", "code"), registry=self.registry)
        self.call_seconds = Histogram(
            "redrive_call_seconds",
            "Duration of calls.",
            ("method",),
            buckets=_CALL_SECONDS,
            registry=self.registry,
        )
        self._describe_build()
        ProcessCollector(registry=self.registry)

    def _describe_build(self) -> None:
        build = Gauge(
            "redrive_build_info", "The running version; always 1.", ("version", "python"), registry=self.registry
        )
        build.labels(version("redrive-server"), sys.version.split()[0]).set(1)
