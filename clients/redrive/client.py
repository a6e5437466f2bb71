"""The typed client: one method for each rpc of `redrive.v1`, with the contract's own messages in and out.

Reads take a message's id and their filters; writes that carry much take their request. All raise RedriveError.
"""

from types import TracebackType
from typing import Self

from redrive.connection import ClientCertificate, Connection
from redrive.maintenance import MaintenanceCalls
from redrive.messages import MessageCalls
from redrive.pages import PageCalls
from redrive.reports import ReportCalls
from redrive.retries import RetryCalls


class Client(MessageCalls, RetryCalls, ReportCalls, PageCalls, MaintenanceCalls):
    """A connection to one Redrive server, made in a running event loop and closed by `close` or `async with`.

    `token` goes with every call; ValueError for characters that no token has. `tls` trusts the usual certificate
    authorities, `root_certificates` (PEM) only these; `client_certificate` (a chain and its key, PEM) is shown to a
    server that asks for one. `timeout` is in seconds and holds for one call with all its
    attempts; a watch may be silent for as long. Reads, and writes that carry a request_id, are attempted again when the
    server is unavailable; those that take a request_id draw one where the caller gave none.
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
        """Ends calls that are under way."""
        await self._connection.channel.close()
