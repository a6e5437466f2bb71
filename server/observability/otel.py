"""Traces by OpenTelemetry, with a tracer provider of their own; no global state is set."""

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
from server.messenger.channel import OutgoingMessage, SendResult
from server.observability.tracing import Metadata, TracingRefusedError

KEPT_LINKS = 10_000  # messages whose call is remembered for links
_TRACE_HEADERS = ("traceparent", "tracestate")
_SERVER_ERRORS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


def exporter_of(name: str) -> SpanExporter:
    """Return the exporter with this name, set up by the standard variables; raises TracingRefusedError."""
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if name == "otlp" and protocol in (None, "", "grpc"):
        return OTLPSpanExporter()
    if name == "console":
        return ConsoleSpanExporter()
    if name == "otlp":
        raise TracingRefusedError(f"OTEL_EXPORTER_OTLP_PROTOCOL: must be grpc, not {protocol!r}")
    raise TracingRefusedError(f"OTEL_TRACES_EXPORTER must be otlp, console or none, not {name!r}")


class OtelTracing:
    """Tracing with OpenTelemetry."""

    def __init__(self, exporter: SpanExporter, *, at_once: bool = False) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        processor = SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("redrive")
        self._propagator = TraceContextTextMapPropagator()
        self._calls: dict[str, SpanContext] = {}  # by message, the oldest first

    def call(self, method: str, metadata: Metadata) -> Callable[[str], None]:
        """Start the span of a call; the caller's sampling decision holds."""
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
        """Remember the current call for later links; other processes, and this one after a restart, make no link."""
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
    ) -> Iterator[Callable[[Sequence[SendResult]], None]]:
        """Start a span in a trace of its own, linked to the call: one call may cause very many requests."""
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
            yield lambda attempted: _record_outcomes(span, attempted)

    @contextmanager
    def checking(self, page_id: str) -> Iterator[Callable[[str], None]]:
        """Start a span, as a child of the current call if there is one."""
        with self._request("graph check_token", {"redrive.page_id": page_id}, [], None) as span:
            yield lambda result: span.set_attribute("redrive.result", result)

    @contextmanager
    def _request(
        self, name: str, attributes: dict[str, Any], links: Sequence[Link], context: contexts.Context | None
    ) -> Iterator[Span]:
        """Start a span; the text of an exception is not recorded, because it may quote a message."""
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, links)
        try:
            yield span
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()

    def close(self) -> None:
        """Export the remaining spans; blocks."""
        self._provider.shutdown()


def _end_call(span: Span, token: Any, code: str) -> None:
    span.set_attribute("rpc.grpc.status_code", code)
    if code in _SERVER_ERRORS:
        span.set_status(StatusCode.ERROR)
    span.end()
    contexts.detach(token)


def _record_outcomes(span: Span, attempted: Sequence[SendResult]) -> None:
    outcomes = [type(one.outcome).__name__.lower() for one in attempted]
    for outcome in set(outcomes):
        span.set_attribute(f"redrive.{outcome}", outcomes.count(outcome))
    if len(outcomes) > outcomes.count("sent"):
        span.set_status(StatusCode.ERROR)


def _resource() -> Resource:
    """Return the resource, named by the standard variable if that is set."""
    named = bool(os.environ.get("OTEL_SERVICE_NAME"))
    return Resource.create({} if named else {"service.name": "redrive-server"})
