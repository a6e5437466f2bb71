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
    """The sandbox did not take an order, and did nothing."""

    def __init__(self, refused: RefusedOrder) -> None:
        super().__init__(f"{refused.field}: {refused.message}")
        self.field = refused.field


class _Refusal(msgspec.Struct):
    error: RefusedOrder


class _Faults(msgspec.Struct):
    faults: list[FaultStatus]


class SandboxControl:
    """Talks to one sandbox; any address of it will do, with or without the Graph API's version."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(base_url=httpx.URL(url).join("/sandbox/"), trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def order(self, *faults: FaultOrder | dict[str, Any]) -> list[FaultStatus]:
        """Places faults, all or none; raises OrderRefusedError."""
        answer = await self._call("POST", "faults", msgspec.json.encode(faults))
        return msgspec.json.decode(answer, type=_Faults).faults

    async def faults(self) -> list[FaultStatus]:
        """The faults that stand."""
        return msgspec.json.decode(await self._call("GET", "faults"), type=_Faults).faults

    async def remove_fault(self, fault_id: str) -> None:
        """Takes one fault away; raises OrderRefusedError when there is none of that id."""
        await self._call("DELETE", f"faults/{fault_id}")

    async def clear_faults(self) -> None:
        """Takes all faults away."""
        await self._call("DELETE", "faults")

    async def token(
        self, token: str, action: Literal["expire", "renew", "revoke", "allow"], app_secret: str = ""
    ) -> None:
        """Changes what a token is good for; raises OrderRefusedError."""
        order = {"token": token, "action": action, "app_secret": app_secret}
        await self._call("POST", "tokens", msgspec.json.encode(order))

    async def received(self, recipient: str = "", *, after: int = 0, limit: int = 100) -> ReceivedResponse:
        """A page of arrivals, of one recipient or of all."""
        query: dict[str, str | int] = {"recipient": recipient, "after": after, "limit": limit}
        return msgspec.json.decode(await self._call("GET", "received", query=query), type=ReceivedResponse)

    async def recipients(self, *, after: int = 0, limit: int = 100) -> RecipientPage:
        """A page of counts per recipient."""
        query: dict[str, str | int] = {"after": after, "limit": limit}
        return msgspec.json.decode(await self._call("GET", "recipients", query=query), type=RecipientPage)

    async def summary(self) -> Summary:
        """The record in numbers."""
        return msgspec.json.decode(await self._call("GET", "summary"), type=Summary)

    async def webhooks(self) -> WebhookStatus:
        """How far telling a webhook has come; raises OrderRefusedError where none is told."""
        return msgspec.json.decode(await self._call("GET", "webhooks"), type=WebhookStatus)

    async def reset(self) -> None:
        """Takes the sandbox back to how it started."""
        await self._call("POST", "reset")

    async def _call(
        self, method: str, path: str, body: bytes = b"", query: dict[str, str | int] | None = None
    ) -> bytes:
        response = await self._client.request(method, path, content=body, params=query)
        if response.status_code in {400, 404}:
            raise OrderRefusedError(msgspec.json.decode(response.content, type=_Refusal).error)
        return response.raise_for_status().content
