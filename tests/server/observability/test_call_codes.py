"""The status code under which a finished call is counted."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from server.api.caller import Context
from server.api.interceptors.calls import CallInterceptor


class Ends:
    """Records the codes of finished calls."""

    def __init__(self) -> None:
        self.codes: asyncio.Queue[str] = asyncio.Queue()

    def begin(self, _method: str, _metadata: object) -> Callable[[str], None]:
        return self.codes.put_nowait


async def _continues_after_the_caller_left(_: bytes, context: Context) -> None:
    await context.write(b"first")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await context.write(b"second")


async def _refuses(_: bytes, context: Context) -> bytes:
    await context.abort(grpc.StatusCode.NOT_FOUND)


async def test_a_call_counts_with_its_status_and_otherwise_as_cancelled() -> None:
    ends = Ends()
    server = grpc.aio.server(interceptors=[CallInterceptor(ends)])
    handlers: dict[str, Any] = {
        "Watch": grpc.unary_stream_rpc_method_handler(_continues_after_the_caller_left),
        "Find": grpc.unary_unary_rpc_method_handler(_refuses),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    wire: Any = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    async with wire:
        watch = wire.unary_stream("/Test/Watch")(b"")
        await watch.read()
        watch.cancel()
        gone = await ends.codes.get()
        await asyncio.gather(wire.unary_unary("/Test/Find")(b""), return_exceptions=True)
        refused = await ends.codes.get()
    await server.stop(0)

    assert (gone, refused) == ("CANCELLED", "NOT_FOUND")
