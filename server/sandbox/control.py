"""A client of the control API, for tests, demos and benchmarks."""

from types import TracebackType
from typing import Any, Literal, Self

import httpx
import msgspec

from server.sandbox.control_api import ReceivedResponse
from server.sandbox.fault_book import FaultStatus
from server.sandbox.fault_order import FaultOrder, RefusedOrder
from server.sandbox.record import RecipientPage, Summary
from server.sandbox.webhooks import WebhookStatus


class OrderRefusedError(Exception):
    """The sandbox refused an order and did nothing."""

    def __init__(self, refused: RefusedOrder) -> None:
        super().__init__(f"{refused.field}: {refused.message}")
        self.field = refused.field


class _Refusal(msgspec.Struct):
    error: RefusedOrder


class _Faults(msgspec.Struct):
    faults: list[FaultStatus]


class SandboxControl:
    """A client of one sandbox, by any of its addresses, with or without the Graph API's version."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=httpx.URL(url).join("/sandbox/"), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def order(self, *faults: FaultOrder | dict[str, Any]) -> list[FaultStatus]:
        """Order faults, all or none; raises OrderRefusedError."""
        answer = await self._call("POST", "faults", msgspec.json.encode(faults))
        return msgspec.json.decode(answer, type=_Faults).faults

    async def faults(self) -> list[FaultStatus]:
        """Return the ordered faults."""
        return msgspec.json.decode(await self._call("GET", "faults"), type=_Faults).faults

    async def remove_fault(self, fault_id: str) -> None:
        """Remove a fault; raises OrderRefusedError if no fault has this id."""
        await self._call("DELETE", f"faults/{fault_id}")

    async def clear_faults(self) -> None:
        """Remove all faults."""
        await self._call("DELETE", "faults")

    async def token(
        self, token: str, action: Literal["expire", "renew", "revoke", "allow"], app_secret: str = ""
    ) -> None:
        """Change the state of a token; raises OrderRefusedError."""
        order = {"token": token, "action": action, "app_secret": app_secret}
        await self._call("POST", "tokens", msgspec.json.encode(order))

    async def received(self, recipient: str = "", *, after: int = 0, limit: int = 100) -> ReceivedResponse:
        """Return a page of arrivals, of one recipient or of all."""
        query: dict[str, str | int] = {"recipient": recipient, "after": after, "limit": limit}
        return msgspec.json.decode(await self._call("GET", "received", query=query), type=ReceivedResponse)

    async def recipients(self, *, after: int = 0, limit: int = 100) -> RecipientPage:
        """Return a page of counts per recipient."""
        query: dict[str, str | int] = {"after": after, "limit": limit}
        return msgspec.json.decode(await self._call("GET", "recipients", query=query), type=RecipientPage)

    async def summary(self) -> Summary:
        """Return the counts of the record."""
        return msgspec.json.decode(await self._call("GET", "summary"), type=Summary)

    async def webhooks(self) -> WebhookStatus:
        """Return the progress of the webhook; raises OrderRefusedError if the sandbox has none."""
        return msgspec.json.decode(await self._call("GET", "webhooks"), type=WebhookStatus)

    async def reset(self) -> None:
        """Reset the sandbox to its start."""
        await self._call("POST", "reset")

    async def _call(
        self, method: str, path: str, body: bytes = b"", query: dict[str, str | int] | None = None
    ) -> bytes:
        response = await self._client.request(method, path, content=body, params=query)
        if response.status_code in {400, 404}:
            raise OrderRefusedError(msgspec.json.decode(response.content, type=_Refusal).error)
        return response.raise_for_status().content
