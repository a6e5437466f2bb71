"""The gate before every rpc: who calls, whether it may, and how much of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import NamedTuple

from domain.errors import Unavailable
from server.api.caller import CALLER, Admitted, Context, peer_address
from server.api.interceptors.limits import (
    Limits,
    OpenCalls,
    RequestRate,
    TookTooLong,
    TooManyOpenWatches,
    TooManySendStreams,
    TooManyWatches,
)
from server.api.interceptors.refused_calls import RefusalRate
from server.api.interceptors.scopes import CHANNELZ, HEALTH, NEEDED, REFLECTION
from server.auth.authentication import Authentication, CallCredentials
from server.auth.caller import LOCAL, Caller, Scope
from server.auth.errors import PermissionDenied, RpcNotListed, ScopeMissing, Unauthenticated

RECHECK_SECONDS = 15.0  # between two looks whether the caller of a stream is still let in
OPEN_WATCHES_OF_PEER, OPEN_WATCHES = 100, 1_000  # health watches and reflections at a time

_AUTHORIZATION = "authorization"
_ALTERNATIVE_NAMES, _COMMON_NAME = "x509_subject_alternative_name", "x509_common_name"


class Rpc(NamedTuple):
    """Which rpc, and whether its requests and its answers are streams."""

    method: str
    request_streaming: bool
    response_streaming: bool

    @property
    def is_stream(self) -> bool:
        """It may go on for long."""
        return self.request_streaming or self.response_streaming


class Gate:
    """Lets calls pass, or raises what they are refused with; without authentication everybody is LOCAL."""

    def __init__(
        self,
        authentication: Authentication | None = None,
        limits: Limits | None = None,
        *,
        reflection_is_open: bool = True,
        recheck_seconds: float = RECHECK_SECONDS,
    ) -> None:
        self.limits = limits or Limits()
        self._authentication = authentication
        self._open = (HEALTH, REFLECTION) if reflection_is_open else (HEALTH,)
        self._recheck_seconds = recheck_seconds
        self._rate = RequestRate(self.limits)
        self._refusals = RefusalRate(self.limits)
        self._watches = OpenCalls(self.limits.watches_per_caller, TooManyWatches)
        self._send_streams = OpenCalls(self.limits.send_streams_per_caller, TooManySendStreams)
        self._open_watches = OpenCalls(OPEN_WATCHES_OF_PEER, TooManyOpenWatches, OPEN_WATCHES)

    @asynccontextmanager
    async def passing(self, rpc: Rpc, context: Context) -> AsyncIterator[Admitted]:
        """The call, from its beginning to its end.

        Raises Unauthenticated, PermissionDenied, Exhausted, TookTooLong, and Unavailable while callers cannot be known.
        """
        if rpc.method.startswith(self._open):
            peer = peer_address(context.peer())
            with self._open_watches.one_of(peer) if rpc.response_streaming else nullcontext():
                yield Admitted(peer, is_known=False)
            return
        credentials = CallCredentials() if self._authentication is None else _credentials(context)
        caller = await self._admit_or_count(credentials, rpc.method, context)
        self._rate.take(caller.owner)
        CALLER.set(caller)
        with self._counted(rpc, caller.owner):
            async with self._ended_in_time(rpc, credentials):
                yield Admitted(caller.owner, is_known=True)

    async def _admit_or_count(self, credentials: CallCredentials, method: str, context: Context) -> Caller:
        """Only refused calls count: a caller does not lock out others at its address."""
        try:
            return await self._admit(credentials, method)
        except Unauthenticated:
            self._refusals.take(peer_address(context.peer()))
            raise

    def _counted(self, rpc: Rpc, owner: str) -> AbstractContextManager[None]:
        if rpc.response_streaming:
            return self._watches.one_of(owner)
        return self._send_streams.one_of(owner) if rpc.request_streaming else nullcontext()

    async def _admit(self, credentials: CallCredentials, method: str) -> Caller:
        caller = LOCAL if self._authentication is None else await self._authentication.caller(credentials)
        if method.startswith(REFLECTION):
            return caller  # whoever is known may ask
        needed = Scope.ADMIN if method.startswith(CHANNELZ) else NEEDED.get(method)
        if needed is None:
            raise RpcNotListed
        if needed not in caller.scopes:
            raise ScopeMissing(needed)
        return caller

    @asynccontextmanager
    async def _ended_in_time(self, rpc: Rpc, credentials: CallCredentials) -> AsyncIterator[None]:
        """Watches and exports end by themselves; what ends all streams is that their caller is let in no more."""
        seconds = self._seconds(rpc)
        refusals: list[Exception] = []
        try:
            async with asyncio.timeout(seconds) as end:
                with self._rechecking(rpc, credentials, end, refusals):
                    yield
        except TimeoutError:
            if not end.expired():
                raise
            raise (refusals[0] if refusals else TookTooLong(f"the call took longer than {seconds:g} s")) from None

    def _seconds(self, rpc: Rpc) -> float | None:
        if rpc.response_streaming:
            return None
        return self.limits.stream_seconds if rpc.request_streaming else self.limits.call_seconds

    @contextmanager
    def _rechecking(
        self, rpc: Rpc, credentials: CallCredentials, end: asyncio.Timeout, refusals: list[Exception]
    ) -> Iterator[None]:
        if self._authentication is None or not rpc.is_stream:
            yield
            return
        task = asyncio.create_task(self._recheck(rpc, credentials, end, refusals))
        try:
            yield
        finally:
            task.cancel()

    async def _recheck(
        self, rpc: Rpc, credentials: CallCredentials, end: asyncio.Timeout, refusals: list[Exception]
    ) -> None:
        while not refusals:
            await asyncio.sleep(self._recheck_seconds)
            try:
                await self._admit(credentials, rpc.method)
            except (Unauthenticated, PermissionDenied) as refusal:
                refusals.append(refusal)
                if not end.expired():
                    end.reschedule(asyncio.get_running_loop().time())
            except Unavailable:
                continue


def _credentials(context: Context) -> CallCredentials:
    metadata = context.invocation_metadata() or ()
    presented = context.auth_context()
    names = presented.get(_ALTERNATIVE_NAMES) or presented.get(_COMMON_NAME) or ()
    return CallCredentials(
        tuple(str(value) for key, value in metadata if key == _AUTHORIZATION),
        tuple(name.decode(errors="replace") for name in names),
    )
