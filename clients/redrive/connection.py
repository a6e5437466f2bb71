"""The gRPC channel to the server: the caller's token, a deadline for every call, and retries where they are safe."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import grpc
from google.protobuf.message import Message

from redrive.errors import RedriveError, Unavailable
from redrive.rpc_errors import error_from_rpc
from redrive.secret_text import impossible_characters

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")
ClientCertificate = tuple[bytes, bytes]  # the chain and its key, in PEM

_CHANNEL_OPTIONS = [
    # A page of 1,000 deliveries with long names and errors exceeds gRPC's default of 4 MiB.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # While the channel waits to reconnect, every call fails at once. So it waits no longer than the calls' own backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


class Connection:
    """A channel and the settings that all its calls share."""

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

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        repeatable: bool = True,
        seconds: float | None = None,
    ) -> Response:
        """Call a unary rpc within `seconds` (`timeout` if not given). Raises RedriveError."""

        async def attempt(seconds: float) -> Response:
            return await method(request, timeout=seconds, metadata=self.metadata)

        return await self.call_with_retries(attempt, repeatable=repeatable, seconds=seconds)

    async def call_with_retries(
        self, attempt: Callable[[float], Awaitable[Response]], *, repeatable: bool, seconds: float | None = None
    ) -> Response:
        """Run `attempt` within `seconds` (`timeout` if not given), waits between attempts included.

        `attempt` gets the seconds that are left. It runs again after UNAVAILABLE if `repeatable`. Raises RedriveError.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + (self.timeout if seconds is None else seconds)
        failures = 0
        while True:
            try:
                return await attempt(deadline - clock())
            except grpc.aio.AioRpcError as failure:
                error, cause = error_from_rpc(failure), failure
            failures += 1
            wait = self._wait(error, failures) if repeatable else None
            if wait is None or clock() + wait >= deadline:
                raise error from cause
            await asyncio.sleep(wait)

    def _wait(self, error: RedriveError, failures: int) -> float | None:
        """Return the seconds until the next attempt; None if there is none."""
        if not isinstance(error, Unavailable) or failures >= self.backoff.attempts:
            return None
        return self.backoff.wait(failures, error.retry_after)


def _credentials(
    tls: bool,  # noqa: FBT001
    root_certificates: bytes | None,
    client_certificate: ClientCertificate | None,
) -> grpc.ChannelCredentials | None:
    """Return the TLS credentials; None for a channel without TLS."""
    if not tls and root_certificates is None and client_certificate is None:
        return None
    chain, key = client_certificate or (None, None)
    return grpc.ssl_channel_credentials(root_certificates, private_key=key, certificate_chain=chain)


def _channel(target: str, credentials: grpc.ChannelCredentials | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=_CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(target, credentials, options=_CHANNEL_OPTIONS)


class Backoff(NamedTuple):
    """The waits between attempts: they double from `first` to `longest` (seconds), for at most `attempts` attempts."""

    first: float = 0.1
    longest: float = 5.0
    attempts: int = 6

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Return the seconds to wait after this many failures: 50 to 100 % of the step, at least `retry_after`."""
        step = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        jittered = random.uniform(step / 2, step)  # noqa: S311 - no secret: it spreads the callers
        return max(jittered, retry_after or 0.0)
