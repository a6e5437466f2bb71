"""The outermost interceptor: reports every call to an observer, including calls that another interceptor refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio

from server.api.caller import Context
from server.api.interceptors.errors import HANDLER_FACTORIES, Handler


class CallObserver(Protocol):
    """Counts, times and traces calls."""

    def begin(self, method: str, metadata: Sequence[tuple[str, str | bytes]]) -> Callable[[str], None]:
        """Record the start of a call.

        Return a function that the interceptor calls in the same task with the status code when the call ends.
        """
        ...


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Observes the handlers that the error interceptor returns."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the observed handler; None for an unknown method, which is not counted."""
        handler = await continuation(handler_call_details)
        return None if handler is None else self._observed(handler, handler_call_details.method)

    def _observed(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        async def answer(request: Any, context: Context) -> Any:
            end = self._observer.begin(method, tuple(context.invocation_metadata() or ()))
            code = grpc.StatusCode.CANCELLED  # unless the handler sets another one
            try:
                response = await behavior(request, context)
                code = grpc.StatusCode.OK
            except Exception:
                code = context.code() or code
                raise
            finally:
                end(code.name)
            return response

        make_handler = HANDLER_FACTORIES[handler.request_streaming, handler.response_streaming]
        observed: Handler = make_handler(answer, handler.request_deserializer, handler.response_serializer)
        return observed
