"""Traces from the caller through the server to the platform."""

import subprocess
import sys

import grpc.aio
import pytest
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from redrive.v1.page_pb2 import SendMode
from server.observability.otel import OtelTracing, exporter_of
from server.observability.telemetry import open_tracing
from server.observability.tracing import TracingRefusedError
from tests.builders import PAGE
from tests.server.observability.outside import Outside

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


async def test_a_trace_connects_the_caller_and_the_platform(outside: Outside) -> None:
    await outside.put_page()
    message_id = await outside.send("u1", metadata=(("traceparent", TRACEPARENT),))
    await outside.done(message_id)

    (call,) = outside.spans("redrive.v1.DeliveryService/Send")
    (request,) = outside.spans("graph send")

    assert call.context is not None
    assert call.parent is not None
    assert f"{call.context.trace_id:032x}" == TRACE
    assert f"{call.parent.span_id:016x}" == PARENT
    assert call.kind is SpanKind.SERVER
    assert dict(call.attributes or {})["rpc.grpc.status_code"] == "OK"
    assert request.kind is SpanKind.CLIENT
    assert [link.context for link in request.links] == [call.context]
    assert request.parent is None  # a separate trace, because a call may cause a hundred thousand requests
    assert dict(request.attributes or {}) == {
        "redrive.page_id": PAGE,
        "redrive.message_id": message_id,
        "redrive.batch_number": 1,
        "redrive.deliveries": 1,
        "redrive.sent": 1,
    }


async def test_a_graph_batch_is_one_span_with_counts_of_its_outcomes(outside: Outside) -> None:
    await outside.put_page(mode=SendMode.SEND_MODE_BATCH)
    await outside.sandbox.control.order({"preset": "unavailable_recipient", "recipients": ["u1"]})
    await outside.done(await outside.send("u1", "u2", "u3"))

    (request,) = outside.spans("graph send_batch")

    attributes = dict(request.attributes or {})
    assert [attributes[f"redrive.{name}"] for name in ("deliveries", "sent", "failed")] == [3, 2, 1]
    assert request.status.status_code is StatusCode.ERROR


async def test_a_token_check_is_part_of_the_callers_trace(outside: Outside) -> None:
    await outside.put_page()

    (call,) = outside.spans("redrive.v1.PageService/PutPage")
    (check,) = outside.spans("graph check_token")

    assert call.context is not None
    assert check.parent is not None
    assert check.parent.span_id == call.context.span_id
    assert dict(check.attributes or {})["redrive.result"] == "TokenAccepted"


async def test_failed_and_cancelled_calls_end_their_spans(outside: Outside) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await outside.message("unknown")

    (call,) = await outside.ended("redrive.v1.DeliveryService/GetMessage")
    assert dict(call.attributes or {})["rpc.grpc.status_code"] == "NOT_FOUND"
    assert call.status.status_code is StatusCode.UNSET  # the caller's mistake


async def test_an_invalid_traceparent_starts_a_new_trace(outside: Outside) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await outside.send("u1", metadata=(("traceparent", "00-nonsense"),))

    (call,) = await outside.ended("redrive.v1.DeliveryService/Send")
    assert call.parent is None


async def test_traces_are_not_sent_to_the_platform(outside: Outside) -> None:
    await outside.put_page()
    await outside.done(await outside.send("u1", metadata=(("traceparent", TRACEPARENT),)))

    received = await outside.sandbox.control.received()

    assert received.arrivals
    assert TRACE not in repr(received)


def test_without_an_exporter_opentelemetry_is_not_imported() -> None:
    look = "import sys, server.main; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"

    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_tracing_is_off_by_default(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert open_tracing() is None


def test_the_standard_variables_enable_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    tracing = open_tracing()

    assert isinstance(tracing, OtelTracing)
    tracing.close()
    assert isinstance(exporter_of("console"), ConsoleSpanExporter)


def test_an_unknown_exporter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        TracingRefusedError, match=r"^OTEL_TRACES_EXPORTER must be otlp, console or none, not 'zipkin'$"
    ):
        exporter_of("zipkin")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    with pytest.raises(TracingRefusedError, match="must be grpc"):
        exporter_of("otlp")
