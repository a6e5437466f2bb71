"""The gate before every rpc: who calls, whether it may, and how much of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import NamedTuple

from domain.errors import Unavailable
from server.access.authentication import Authentication, Credentials
from server.access.caller import LOCAL, Caller
from server.access.refusals import PermissionDenied, RpcNotListed, ScopeMissing, Unauthenticated
from server.access.scope import Scope
from server.api.caller import CALLER, Context
from server.api.limits import Limits, RequestRate, TookTooLong, Watches
from server.api.scopes import CHANNELZ, HEALTH, NEEDED, REFLECTION

RECHECK_SECONDS = 15.0  # between two looks whether the caller of a stream is still let in

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
        self._watches = Watches(self.limits)

    @asynccontextmanager
    async def passing(self, rpc: Rpc, context: Context) -> AsyncIterator[None]:
        """The call, from its beginning to its end.

        Raises Unauthenticated, PermissionDenied, Exhausted, TookTooLong, and Unavailable while callers cannot be known.
        """
        if rpc.method.startswith(self._open):
            yield
            return
        credentials = Credentials() if self._authentication is None else _credentials(context)
        caller = await self._admit(credentials, rpc.method)
        self._rate.take(caller.owner)
        CALLER.set(caller)
        watching = self._watches.one_of(caller.owner) if rpc.response_streaming else nullcontext()
        with watching:
            async with self._ended_in_time(rpc, credentials):
                yield

    async def _admit(self, credentials: Credentials, method: str) -> Caller:
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
    async def _ended_in_time(self, rpc: Rpc, credentials: Credentials) -> AsyncIterator[None]:
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
        self, rpc: Rpc, credentials: Credentials, end: asyncio.Timeout, refusals: list[Exception]
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
        self, rpc: Rpc, credentials: Credentials, end: asyncio.Timeout, refusals: list[Exception]
    ) -> None:
        while not refusals:
            await asyncio.sleep(self._recheck_seconds)
            try:
                await self._admit(credentials, rpc.method)
            except (Unauthenticated, PermissionDenied) as refusal:
                refusals.append(refusal)
                end.reschedule(asyncio.get_running_loop().time())
            except Unavailable:
                continue


def _credentials(context: Context) -> Credentials:
    metadata = context.invocation_metadata() or ()
    presented = context.auth_context()
    names = presented.get(_ALTERNATIVE_NAMES) or presented.get(_COMMON_NAME) or ()
    return Credentials(
        tuple(str(value) for key, value in metadata if key == _AUTHORIZATION),
        tuple(name.decode(errors="replace") for name in names),
    )
