"""One channel to the server: the caller's token, a deadline for every call, and retries where they are safe."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from redrive.backoff import Backoff
from redrive.errors import RedriveError, Unavailable
from redrive.refusal import error_of
from redrive.secret_text import impossible_characters

Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer")
ClientCertificate = tuple[bytes, bytes]  # the chain and its key, in PEM

_CHANNEL_OPTIONS = [
    # A page of 1,000 deliveries with long names and errors exceeds gRPC's default of 4 MiB.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # While the channel waits to reconnect every call fails at once: wait no longer than the calls' own backoff does.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class Connection:
    """A channel, and what every call over it has in common."""

    def __init__(
        self,
        target: str,
        *,
        token: str | None,
        tls: bool,
        root_certificates: bytes | None,
        client_certificate: ClientCertificate | None,
        timeout: float,
    ) -> None:
        if token and (problem := impossible_characters(token)):
            raise ValueError(f"The token {problem}.")
        self.timeout = timeout
        self.backoff = Backoff()
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self.channel = _channel(target, _credentials(tls, root_certificates, client_certificate))

    async def ask(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Answer],
        request: Request,
        *,
        repeatable: bool = True,
        seconds: float | None = None,
    ) -> Answer:
        """One question and its answer, within so many seconds (`timeout` unless given)."""

        async def attempt(seconds: float) -> Answer:
            return await method(request, timeout=seconds, metadata=self.metadata)

        return await self.call(attempt, repeatable=repeatable, seconds=seconds)

    async def call(
        self, attempt: Callable[[float], Awaitable[Answer]], *, repeatable: bool, seconds: float | None = None
    ) -> Answer:
        """One call within so many seconds (`timeout` unless given), waits between attempts included.

        `attempt` is given the seconds it may take. What is repeatable is attempted again after UNAVAILABLE.
        Raises RedriveError.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + (self.timeout if seconds is None else seconds)
        failures = 0
        while True:
            try:
                return await attempt(deadline - clock())
            except grpc.aio.AioRpcError as failure:
                error, cause = error_of(failure), failure
            failures += 1
            wait = self._wait(error, failures) if repeatable else None
            if wait is None or clock() + wait >= deadline:
                raise error from cause
            await asyncio.sleep(wait)

    def _wait(self, error: RedriveError, failures: int) -> float | None:
        """Seconds until the next attempt; None when there is to be none."""
        if not isinstance(error, Unavailable) or failures >= self.backoff.attempts:
            return None
        return self.backoff.wait(failures, error.retry_after)


def _credentials(
    tls: bool,  # noqa: FBT001
    root_certificates: bytes | None,
    client_certificate: ClientCertificate | None,
) -> grpc.ChannelCredentials | None:
    """What TLS needs; None where nobody asks for TLS."""
    if not tls and root_certificates is None and client_certificate is None:
        return None
    chain, key = client_certificate or (None, None)
    return grpc.ssl_channel_credentials(root_certificates, private_key=key, certificate_chain=chain)


def _channel(target: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=_CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(target, credentials, options=_CHANNEL_OPTIONS)
