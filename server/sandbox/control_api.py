"""The control API under /sandbox/: faults, tokens, the record."""

from typing import Any

import msgspec
from aiohttp import web

from server.sandbox.fault_order import RefusedOrder, read_orders, refused_json
from server.sandbox.record import ArrivalPage, RecipientCounts
from server.sandbox.state import SandboxState
from server.sandbox.token_book import TokenOrder

MAX_LIMIT = 10_000
_token_decoder = msgspec.json.Decoder(TokenOrder)


class ReceivedResponse(ArrivalPage, frozen=True, kw_only=True, omit_defaults=True):
    """A page of arrivals, with the counts of the requested recipient, if any."""

    counts: RecipientCounts | None = None


class ControlApi:
    """Answers in JSON; a 400 holds {"error": {"field", "message"}}, and nothing was done."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.post("/sandbox/faults", self.order_faults),
            web.get("/sandbox/faults", self.list_faults),
            web.delete("/sandbox/faults", self.clear_faults),
            web.delete("/sandbox/faults/{fault_id}", self.remove_fault),
            web.post("/sandbox/tokens", self.order_token),
            web.get("/sandbox/received", self.received),
            web.get("/sandbox/recipients", self.recipients),
            web.get("/sandbox/summary", self.summary),
            web.get("/sandbox/webhooks", self.webhooks),
            web.post("/sandbox/reset", self.reset),
            web.route("*", "/sandbox/{unknown:.*}", self.unknown),
        ]

    async def order_faults(self, request: web.Request) -> web.Response:
        """Order one fault or an array of faults: all, or none if one is wrong."""
        orders = read_orders(await request.read())
        if isinstance(orders, RefusedOrder):
            return _refusal(orders)
        return _json({"faults": self._state.faults.place(orders)}, status=201)

    async def list_faults(self, _request: web.Request) -> web.Response:
        """List the ordered faults with their hits."""
        return _json({"faults": self._state.faults.list()})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Remove all faults."""
        self._state.faults.clear()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Remove one fault."""
        fault_id = request.match_info["fault_id"]
        if not self._state.faults.remove(fault_id):
            return _refusal(RefusedOrder("fault_id", f"There is no fault {fault_id}"), status=404)
        return web.Response(status=204)

    async def order_token(self, request: web.Request) -> web.Response:
        """Expire, renew, revoke or allow a token."""
        try:
            order = _token_decoder.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refusal(refused_json(error))
        self._state.take_token_order(order)
        return web.Response(status=204)

    async def received(self, request: web.Request) -> web.Response:
        """List arrivals of ?recipient=, or of all, numbered above ?after=, at most ?limit=."""
        window = _page_of(request)
        if isinstance(window, RefusedOrder):
            return _refusal(window)
        recipient = request.query.get("recipient", "")
        page = self._state.record.arrivals(recipient, *window)
        counts = self._state.record.counts(recipient) if recipient else None
        return _json(ReceivedResponse(arrivals=page.arrivals, next_after=page.next_after, counts=counts))

    async def recipients(self, request: web.Request) -> web.Response:
        """List counts per recipient after the first ?after= ones, at most ?limit=."""
        window = _page_of(request)
        if isinstance(window, RefusedOrder):
            return _refusal(window)
        return _json(self._state.record.recipients(*window))

    async def summary(self, _request: web.Request) -> web.Response:
        """Return the counts of the record."""
        return _json(self._state.record.summary())

    async def webhooks(self, _request: web.Request) -> web.Response:
        """Return the progress of the webhook."""
        outbox = self._state.outbox
        if outbox is None:
            return _refusal(RefusedOrder("webhooks", "The sandbox was started without --webhook-url"), status=404)
        return _json(outbox.status)

    async def reset(self, _request: web.Request) -> web.Response:
        """Reset the sandbox to its start."""
        self._state.reset()
        return web.Response(status=204)

    async def unknown(self, request: web.Request) -> web.Response:
        """Answer an unknown path."""
        return _refusal(RefusedOrder("path", f"There is no {request.method} {request.path}"), status=404)


def _page_of(request: web.Request) -> tuple[int, int] | RefusedOrder:
    after, limit = request.query.get("after", "0"), request.query.get("limit", "100")
    if not after.isdecimal():
        return RefusedOrder("after", "Expected a whole number from 0")
    if not limit.isdecimal() or not 1 <= int(limit) <= MAX_LIMIT:
        return RefusedOrder("limit", f"Expected a whole number from 1 to {MAX_LIMIT}")
    return int(after), int(limit)


def _json(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _refusal(refused: RefusedOrder, *, status: int = 400) -> web.Response:
    return _json({"error": refused}, status=status)
