"""The interface of traces, so that OpenTelemetry is loaded only if an exporter is set."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from server.messenger.channel import OutgoingMessage, SendResult

Metadata = Sequence[tuple[str, str | bytes]]


class Tracing(Protocol):
    """Spans of calls and of requests to the platform, with ids and counts, but no text, name or secret."""

    def call(self, method: str, metadata: Metadata) -> Callable[[str], None]:
        """Start the span of a call, a child of the caller's; return a function that ends it with a status code."""
        ...

    def planned(self, message_id: str) -> None:
        """Link the later requests of a message to the current call, which planned them."""
        ...

    def sending(
        self, operation: str, page_id: str, messages: Sequence[OutgoingMessage]
    ) -> AbstractContextManager[Callable[[Sequence[SendResult]], None]]:
        """Start the span of a request that sends; yield a function that takes the outcomes."""
        ...

    def checking(self, page_id: str) -> AbstractContextManager[Callable[[str], None]]:
        """Start the span of a request that tries a token; yield a function that takes the result."""
        ...

    def close(self) -> None:
        """Export the remaining spans; blocks."""
        ...


class TracingRefusedError(Exception):
    """The OTEL_ variables name an unsupported exporter; the text says what to do."""
