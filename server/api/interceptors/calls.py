"""Tells of every call: the outermost interceptor, so that calls that another one refuses are seen too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from server.api.caller import Context
from server.api.interceptors.errors import MAKERS, Handler
from server.api.ports import CallObserver


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Stands around handlers that write by themselves, as the error interceptor's do."""

    def __init__(self, observer: CallObserver) -> None:
        self._observer = observer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Wraps the handler that would be called; None for an unknown method, which has no place in any table."""
        handler = await continuation(handler_call_details)
        return None if handler is None else self._observed(handler, handler_call_details.method)

    def _observed(self, handler: Handler, method: str) -> Handler:
        behavior: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        async def answer(request: Any, context: Context) -> Any:
            end = self._observer.begin(method, tuple(context.invocation_metadata() or ()))
            code = grpc.StatusCode.CANCELLED  # of a caller that has gone, whatever the handler made of it
            try:
                answered = await behavior(request, context)
                code = grpc.StatusCode.OK
            except Exception:
                code = context.code() or code
                raise
            finally:
                end(code.name)
            return answered

        make = MAKERS[handler.request_streaming, handler.response_streaming]
        observed: Handler = make(answer, handler.request_deserializer, handler.response_serializer)
        return observed
