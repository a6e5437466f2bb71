"""What traces are made of, whoever makes them: OpenTelemetry is loaded only where an exporter is set."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from server.messenger.channel import Attempted, OutgoingMessage

Metadata = Sequence[tuple[str, str | bytes]]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing(Protocol):
    """Spans of calls and of requests to the platform. They hold ids and counts: no text, no name, no secret."""

    def call(self, method: str, metadata: Metadata) -> Callable[[str], None]:
        """Begins a call's span, a child of the caller's; what it gives ends the span with the status code's name."""
        ...

    def planned(self, message_id: str) -> None:
        """The call under way planned deliveries of a message: their requests will be linked to it."""
        ...

    def sending(
        self, operation: str, page_id: str, messages: Sequence[OutgoingMessage]
    ) -> AbstractContextManager[Callable[[Sequence[Attempted]], None]]:
        """The span of a request that sends; tell it what became of each message."""
        ...

    def checking(self, page_id: str) -> AbstractContextManager[Callable[[str], None]]:
        """The span of a request that tries a token; tell it what came of it."""
        ...

    def close(self) -> None:
        """Hands over what is there; blocks."""
        ...


class TracingRefusedError(Exception):
    """The OTEL_ variables ask for what is not there; the text says what to do."""


def open_tracing() -> Tracing | None:
    """Traces as the standard OTEL_ variables ask for them; None, and nothing loaded, where they name no exporter.

    Raises TracingRefusedError.
    """
    if not _is_asked_for():
        return None
    from server.observability.otel import OtelTracing, exporter_of  # noqa: PLC0415 - costs 0.1 s and 10 MB

    return OtelTracing(exporter_of(os.environ.get("OTEL_TRACES_EXPORTER", "otlp")))


def _is_asked_for() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter != "none" and bool(exporter or any(os.environ.get(name) for name in _ENDPOINTS))
