"""Calls each server continuously and records late answers (protocol rule 17)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import grpc

from redrive.errors import Unavailable
from redrive.rpc_errors import error_from_rpc
from redrive.v1.content_pb2 import Content, Recipient
from redrive.v1.delivery_service_pb2 import ListMessagesRequest, SendRequest, SendResponse
from redrive.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from redrive.v1.message_pb2 import Message
from tests.faults.fleet import Member

T = TypeVar("T")

BOUND_SECONDS = 5.0  # protocol rule 17 says 2; the rest is a margin for busy machines
PAUSE = 0.2  # seconds between two calls


class Answer(NamedTuple):
    """Duration and result of a call."""

    begin: float
    end: float
    call: str
    code: grpc.StatusCode
    has_retry_delay: bool  # whether UNAVAILABLE from the server says when to retry


class Prober:
    """One caller of one server."""

    def __init__(self, member: Member, page_id: str) -> None:
        self._member = member
        self._page_id = page_id
        self.answers: list[Answer] = []
        self.accepted: dict[str, Message] = {}  # by request_id
        self._number = 0
        self._is_over = False

    def stop(self) -> None:
        """Stop after the current call."""
        self._is_over = True

    async def run(self) -> None:
        """Read and write in turns until stopped."""
        async with grpc.aio.insecure_channel(
            self._member.address, options=[("grpc.max_reconnect_backoff_ms", 500)]
        ) as channel:
            stub = DeliveryServiceStub(channel)
            while not self._is_over:
                await self._ask("ListMessages", lambda: stub.ListMessages(ListMessagesRequest(page_size=5), timeout=20))
                await self._write(stub.Send)
                await asyncio.sleep(PAUSE)

    async def _write(self, send: grpc.aio.UnaryUnaryMultiCallable[SendRequest, SendResponse]) -> None:
        """Repeat the same Send until it is answered."""
        request_id = f"probe-{self._member.name}-{self._number}"
        request = SendRequest(
            request_id=request_id,
            page_id=self._page_id,
            title=request_id,
            content=Content(text="Hello"),
            recipients=[Recipient(id=request_id)],
        )
        answer = await self._ask("Send", lambda: send(request, timeout=20))
        if answer is not None:
            self.accepted[request_id] = answer.message
            self._number += 1

    async def _ask(self, name: str, call: Callable[[], Awaitable[T]]) -> T | None:
        begin = time.monotonic()
        try:
            answer = await call()
        except grpc.aio.AioRpcError as failure:
            self._note(begin, name, failure)
            return None
        self.answers.append(Answer(begin, time.monotonic(), name, grpc.StatusCode.OK, has_retry_delay=True))
        return answer

    def _note(self, begin: float, name: str, failure: grpc.aio.AioRpcError) -> None:
        error = error_from_rpc(failure)
        by_server = bool(error.reason)
        has_retry_delay = not by_server or not isinstance(error, Unavailable) or error.retry_after is not None
        self.answers.append(Answer(begin, time.monotonic(), name, failure.code(), has_retry_delay))
