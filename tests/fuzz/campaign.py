"""Random calls of every rpc, and the answers that are defects."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from tests.fuzz.random_message import RandomMessages

CALL_SECONDS = 20.0
STREAM_SECONDS = 0.2  # how long a stream is read
ANSWERS = 5  # maximum answers read from a stream
# Statuses that gRPC itself produces, without ErrorInfo.
WITHOUT_REASON = {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
# grpc.aio reports this to a caller that still writes when the service has answered. The server's log has the real
# answer.
CUT_OFF = "Internal error from Core"
DEFECTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNIMPLEMENTED,
}


@dataclass
class Campaign:
    """Random calls over one channel; `defects` lists each defect with its request and answer."""

    channel: Any  # a grpc.aio channel; requests are bytes
    services: Sequence[ServiceDescriptor]
    chance: random.Random
    known: Sequence[str]
    codes: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._messages = RandomMessages(self.chance, self.known)
        self._methods = [method for service in self.services for method in service.methods]

    async def run(self, calls: int, at_once: int = 8) -> None:
        """Make this many calls, each rpc about equally often."""
        left = iter(range(calls))

        async def caller() -> None:
            for number in left:
                await self._call(self._methods[number % len(self._methods)])

        await asyncio.gather(*(caller() for _ in range(at_once)))

    async def _call(self, method: MethodDescriptor) -> None:
        parts = [self._messages.bytes_of(method.input_type)]
        if method.client_streaming:
            parts.extend(self._messages.bytes_of(method.input_type) for _ in range(self.chance.randint(0, 4)))
        try:
            for answer in await self._answers(method, parts):
                self._messages.learn(answer)
            self.codes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self._judge(method, parts, error)

    async def _answers(self, method: MethodDescriptor, parts: Sequence[bytes]) -> Sequence[Any]:
        path = f"/{method.containing_service.full_name}/{method.name}"
        decode = GetMessageClass(method.output_type).FromString
        if method.server_streaming:
            return await _first(self.channel.unary_stream(path, response_deserializer=decode)(parts[0]))
        if method.client_streaming:
            call = self.channel.stream_unary(path, response_deserializer=decode)
            return [await call(_each(parts), timeout=CALL_SECONDS)]
        return [await self.channel.unary_unary(path, response_deserializer=decode)(parts[0], timeout=CALL_SECONDS)]

    def _judge(self, method: MethodDescriptor, parts: Sequence[bytes], error: grpc.aio.AioRpcError) -> None:
        self.codes[error.code().name] += 1
        status = rpc_status.from_call(error)
        if method.client_streaming and error.details() == CUT_OFF:
            return
        has_reason = status is not None and any("ErrorInfo" in detail.type_url for detail in status.details)
        if error.code() in DEFECTS or not (has_reason or error.code() in WITHOUT_REASON):
            self.defects.append(
                f"{method.full_name} answered {error.code().name} ({error.details()}) to {parts!r:.2000}"
            )


async def _first(call: Any) -> Sequence[Any]:
    """Return the first answers of a stream, then cancel it."""
    answers: list[Any] = []
    try:
        async with asyncio.timeout(STREAM_SECONDS):
            async for answer in call:
                answers.append(answer)
                if len(answers) >= ANSWERS:
                    break
    except TimeoutError:
        pass
    finally:
        call.cancel()
    return answers


async def _each(parts: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
