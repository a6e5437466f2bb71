"""The gate before every rpc: authentication, scopes, and the limits of calls."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from typing import NamedTuple

from domain.errors import Unavailable
from server.api.caller import CALLER, AdmittedCall, Context, peer_address
from server.api.errors import CallTooLong, TooManyOpenWatches, TooManySendStreams, TooManyWatches
from server.api.interceptors.limits import Limits, OpenCalls, RequestRate
from server.api.interceptors.refused_calls import RefusalRate
from server.api.interceptors.scopes import CHANNELZ, HEALTH, REFLECTION, REQUIRED_SCOPES
from server.auth.authentication import Authentication, CallCredentials
from server.auth.caller import LOCAL, Caller, Scope
from server.auth.errors import PermissionDenied, RpcNotListed, ScopeMissing, Unauthenticated

RECHECK_SECONDS = 15.0  # between two checks that the caller of a stream is still allowed to call
OPEN_WATCHES_OF_PEER, OPEN_WATCHES = 100, 1_000  # health watches and reflection calls at a time

_AUTHORIZATION = "authorization"
_ALTERNATIVE_NAMES, _COMMON_NAME = "x509_subject_alternative_name", "x509_common_name"


class Rpc(NamedTuple):
    """An rpc, and whether its requests and its responses are streams."""

    method: str
    request_streaming: bool
    response_streaming: bool

    @property
    def is_stream(self) -> bool:
        """Return whether the call can be open for a long time."""
        return self.request_streaming or self.response_streaming


class Gate:
    """Admits or refuses calls; without authentication, every caller is LOCAL."""

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
        self._open_rpcs = (HEALTH, REFLECTION) if reflection_is_open else (HEALTH,)  # they need no credentials
        self._recheck_seconds = recheck_seconds
        self._rate = RequestRate(self.limits)
        self._refusals = RefusalRate(self.limits)
        self._watches = OpenCalls(self.limits.watches_per_caller, TooManyWatches)
        self._send_streams = OpenCalls(self.limits.send_streams_per_caller, TooManySendStreams)
        self._open_rpc_watches = OpenCalls(OPEN_WATCHES_OF_PEER, TooManyOpenWatches, OPEN_WATCHES)

    @asynccontextmanager
    async def admitted(self, rpc: Rpc, context: Context) -> AsyncIterator[AdmittedCall]:
        """Admit a call for the block, and end it when its time is over or its caller is no longer allowed to call.

        Raises Unauthenticated, PermissionDenied, Exhausted, CallTooLong, and Unavailable while callers
        cannot be authenticated.
        """
        if rpc.method.startswith(self._open_rpcs):
            peer = peer_address(context.peer())
            with self._open_rpc_watches.counted(peer) if rpc.response_streaming else nullcontext():
                yield AdmittedCall(peer, is_known=False)
            return
        credentials = CallCredentials() if self._authentication is None else _credentials(context)
        caller = await self._authorize_or_count(credentials, rpc.method, context)
        self._rate.take(caller.owner)
        CALLER.set(caller)
        with self._counted(rpc, caller.owner):
            async with self._time_limit(rpc, credentials):
                yield AdmittedCall(caller.owner, is_known=True)

    async def _authorize_or_count(self, credentials: CallCredentials, method: str, context: Context) -> Caller:
        """Return the authorized caller.

        Only calls without valid credentials count as refused: they never lock out other callers at the same address.
        """
        try:
            return await self._authorize(credentials, method)
        except Unauthenticated:
            self._refusals.take(peer_address(context.peer()))
            raise

    def _counted(self, rpc: Rpc, owner: str) -> AbstractContextManager[None]:
        if rpc.response_streaming:
            return self._watches.counted(owner)
        return self._send_streams.counted(owner) if rpc.request_streaming else nullcontext()

    async def _authorize(self, credentials: CallCredentials, method: str) -> Caller:
        caller = LOCAL if self._authentication is None else await self._authentication.caller(credentials)
        if method.startswith(REFLECTION):
            return caller  # every authenticated caller may use reflection
        needed = Scope.ADMIN if method.startswith(CHANNELZ) else REQUIRED_SCOPES.get(method)
        if needed is None:
            raise RpcNotListed
        if needed not in caller.scopes:
            raise ScopeMissing(needed)
        return caller

    @asynccontextmanager
    async def _time_limit(self, rpc: Rpc, credentials: CallCredentials) -> AsyncIterator[None]:
        """Limit the duration of a call.

        A stream of responses has no limit: it ends when its caller is no longer allowed to call.
        """
        seconds = self._seconds(rpc)
        refusals: list[Exception] = []
        try:
            async with asyncio.timeout(seconds) as deadline:
                with self._rechecking(rpc, credentials, deadline, refusals):
                    yield
        except TimeoutError:
            if not deadline.expired():
                raise
            raise (refusals[0] if refusals else CallTooLong(f"the call took longer than {seconds:g} s")) from None

    def _seconds(self, rpc: Rpc) -> float | None:
        if rpc.response_streaming:
            return None
        return self.limits.stream_seconds if rpc.request_streaming else self.limits.call_seconds

    @contextmanager
    def _rechecking(
        self, rpc: Rpc, credentials: CallCredentials, deadline: asyncio.Timeout, refusals: list[Exception]
    ) -> Iterator[None]:
        if self._authentication is None or not rpc.is_stream:
            yield
            return
        task = asyncio.create_task(self._recheck(rpc, credentials, deadline, refusals))
        try:
            yield
        finally:
            task.cancel()

    async def _recheck(
        self, rpc: Rpc, credentials: CallCredentials, deadline: asyncio.Timeout, refusals: list[Exception]
    ) -> None:
        while not refusals:
            await asyncio.sleep(self._recheck_seconds)
            try:
                await self._authorize(credentials, rpc.method)
            except (Unauthenticated, PermissionDenied) as refusal:
                refusals.append(refusal)
                if not deadline.expired():
                    deadline.reschedule(asyncio.get_running_loop().time())
            except Unavailable:
                continue  # an outage of authentication ends no stream


def _credentials(context: Context) -> CallCredentials:
    metadata = context.invocation_metadata() or ()
    certificate = context.auth_context()
    names = certificate.get(_ALTERNATIVE_NAMES) or certificate.get(_COMMON_NAME) or ()
    return CallCredentials(
        tuple(str(value) for key, value in metadata if key == _AUTHORIZATION),
        tuple(name.decode(errors="replace") for name in names),
    )
