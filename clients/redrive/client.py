"""The typed client: one method for each rpc of `redrive.v1`.

A read takes ids and filters as arguments. A write with many fields takes its request message. All raise RedriveError.
"""

from types import TracebackType
from typing import Self

from redrive.calls.maintenance import MaintenanceCalls
from redrive.calls.messages import MessageCalls
from redrive.calls.pages import PageCalls
from redrive.calls.reports import ReportCalls
from redrive.calls.retries import RetryCalls
from redrive.connection import ClientCertificate, Connection


class Client(MessageCalls, RetryCalls, ReportCalls, PageCalls, MaintenanceCalls):
    """A connection to one Redrive server.

    Create it in a running event loop, and close it with `close` or `async with`.

    `token` is sent with every call; raises ValueError if it holds a character that no token has. `tls` trusts the
    system's certificate authorities, `root_certificates` (PEM) only the given ones. `client_certificate` (a chain and
    its key, PEM) is presented to a server that asks for one. `timeout` (seconds) limits one call with all its attempts,
    and the silence of a watch. Reads, and writes with a request_id, are repeated while the server is unavailable; the
    client draws a request_id where the caller gives none.
    """

    def __init__(
        self,
        target: str,
        *,
        token: str | None = None,
        tls: bool = False,
        root_certificates: bytes | None = None,
        client_certificate: ClientCertificate | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._connection = Connection(
            target,
            token=token,
            tls=tls,
            root_certificates=root_certificates,
            client_certificate=client_certificate,
            timeout=timeout,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel; calls in flight end."""
        await self._connection.channel.close()
