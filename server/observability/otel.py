"""Traces by OpenTelemetry, with a provider of the service's own: nothing global is set."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as contexts
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.delivery import parse_delivery_id
from server.messenger.channel import Attempted, OutgoingMessage
from server.observability.tracing import Metadata, TracingRefusedError

KEPT_LINKS = 10_000  # messages whose call is remembered
_TRACE_HEADERS = ("traceparent", "tracestate")
_OUR_FAULT = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


def exporter_of(name: str) -> SpanExporter:
    """The exporter of a name; its own settings are the standard variables. Raises TracingRefusedError."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if name == "otlp" and protocol in (None, "", "grpc"):
        return OTLPSpanExporter()
    if name == "console":
        return ConsoleSpanExporter()
    if name == "otlp":
        raise TracingRefusedError(f"OTEL_EXPORTER_OTLP_PROTOCOL: only grpc is spoken, not {protocol!r}")
    raise TracingRefusedError(f"OTEL_TRACES_EXPORTER must be otlp, console or none, not {name!r}")


class OtelTracing:
    """See Tracing."""

    def __init__(self, exporter: SpanExporter, *, at_once: bool = False) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        processor = SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("redrive")
        self._propagator = TraceContextTextMapPropagator()
        self._calls: dict[str, SpanContext] = {}  # by message, the oldest first

    def call(self, method: str, metadata: Metadata) -> Callable[[str], None]:
        """Begins a call's span; the caller's decision whether to sample is kept."""
        carrier = {name: value for name, value in metadata if name in _TRACE_HEADERS and isinstance(value, str)}
        service, _, name = method.strip("/").rpartition("/")
        span = self._tracer.start_span(
            f"{service}/{name}",
            context=self._propagator.extract(carrier, contexts.Context()),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        token = contexts.attach(set_span_in_context(span))
        return lambda code: _end_call(span, token, code)

    def planned(self, message_id: str) -> None:
        """Remembered in this process only: after a restart, and in other processes, there is no link."""
        here = get_current_span().get_span_context()
        if not here.is_valid:
            return
        if len(self._calls) >= KEPT_LINKS:
            self._calls.pop(next(iter(self._calls)))
        self._calls.pop(message_id, None)
        self._calls[message_id] = here

    @contextmanager
    def sending(
        self, operation: str, page_id: str, messages: Sequence[OutgoingMessage]
    ) -> Iterator[Callable[[Sequence[Attempted]], None]]:
        """A span of its own trace, linked to the call: one call may bring very many requests."""
        place = parse_delivery_id(messages[0].delivery_id) if messages else None
        message_id, batch, _ = place or ("", 0, 0)
        attributes = {
            "redrive.page_id": page_id,
            "redrive.message_id": message_id,
            "redrive.batch_number": batch,
            "redrive.deliveries": len(messages),
        }
        links = [Link(self._calls[message_id])] if message_id in self._calls else []
        with self._request(f"graph {operation}", attributes, links, contexts.Context()) as span:
            yield lambda attempted: _tell(span, attempted)

    @contextmanager
    def checking(self, page_id: str) -> Iterator[Callable[[str], None]]:
        """A child of the call that asked for it, if one did."""
        with self._request("graph check_token", {"redrive.page_id": page_id}, [], None) as span:
            yield lambda result: span.set_attribute("redrive.result", result)

    @contextmanager
    def _request(
        self, name: str, attributes: dict[str, Any], links: Sequence[Link], context: contexts.Context | None
    ) -> Iterator[Span]:
        """An exception's text is not recorded: it may show what leaves."""
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, links)
        try:
            yield span
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Hands over what is there; blocks."""
        self._provider.shutdown()


def _end_call(span: Span, token: Any, code: str) -> None:
    span.set_attribute("rpc.grpc.status_code", code)
    if code in _OUR_FAULT:
        span.set_status(StatusCode.ERROR)
    span.end()
    contexts.detach(token)


def _tell(span: Span, attempted: Sequence[Attempted]) -> None:
    outcomes = [type(one.outcome).__name__.lower() for one in attempted]
    for outcome in set(outcomes):
        span.set_attribute(f"redrive.{outcome}", outcomes.count(outcome))
    if len(outcomes) > outcomes.count("sent"):
        span.set_status(StatusCode.ERROR)


def _resource() -> Resource:
    """The name in the standard variable wins."""
    named = bool(os.environ.get("OTEL_SERVICE_NAME"))
    return Resource.create({} if named else {"service.name": "redrive-server"})
