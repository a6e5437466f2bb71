"""The control API under /sandbox/: faults, tokens, the record."""

from typing import Any

import msgspec
from aiohttp import web

from server.sandbox.fault_order import RefusedOrder, read_orders, refused_json
from server.sandbox.reception import Reception
from server.sandbox.record import ArrivalPage, RecipientCounts
from server.sandbox.token_book import TokenOrder

MAX_LIMIT = 10_000
_token_decoder = msgspec.json.Decoder(TokenOrder)


class ReceivedResponse(ArrivalPage, frozen=True, kw_only=True, omit_defaults=True):
    """Some arrivals; with the counts of the one recipient, if one was asked for."""

    counts: RecipientCounts | None = None


class ControlApi:
    """Its answers are JSON; a 400 carries {"error": {"field", "message"}}, and then nothing was done."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception

    def routes(self) -> list[web.RouteDef]:
        """All its paths."""
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
        """Places one order or an array of them: all, or none if one is wrong."""
        orders = read_orders(await request.read())
        if isinstance(orders, RefusedOrder):
            return _refusal(orders)
        return _json({"faults": self._reception.faults.place(orders)}, status=201)

    async def list_faults(self, _request: web.Request) -> web.Response:
        """All orders that stand, with their hits."""
        return _json({"faults": self._reception.faults.list()})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Takes all orders away."""
        self._reception.faults.clear()
        return web.Response(status=204)

    async def remove_fault(self, request: web.Request) -> web.Response:
        """Takes one order away."""
        fault_id = request.match_info["fault_id"]
        if not self._reception.faults.remove(fault_id):
            return _refusal(RefusedOrder("fault_id", f"There is no fault {fault_id}"), status=404)
        return web.Response(status=204)

    async def order_token(self, request: web.Request) -> web.Response:
        """Expires, renews, revokes or allows a token."""
        try:
            order = _token_decoder.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refusal(refused_json(error))
        self._reception.take_token_order(order)
        return web.Response(status=204)

    async def received(self, request: web.Request) -> web.Response:
        """Arrivals, of ?recipient= or of all, numbered above ?after=, at most ?limit=."""
        place = _place(request)
        if isinstance(place, RefusedOrder):
            return _refusal(place)
        recipient = request.query.get("recipient", "")
        page = self._reception.record.arrivals(recipient, *place)
        counts = self._reception.record.counts(recipient) if recipient else None
        return _json(ReceivedResponse(arrivals=page.arrivals, next_after=page.next_after, counts=counts))

    async def recipients(self, request: web.Request) -> web.Response:
        """Counts per recipient, behind the first ?after= ones, at most ?limit=."""
        place = _place(request)
        if isinstance(place, RefusedOrder):
            return _refusal(place)
        return _json(self._reception.record.recipients(*place))

    async def summary(self, _request: web.Request) -> web.Response:
        """The record in numbers."""
        return _json(self._reception.record.summary())

    async def webhooks(self, _request: web.Request) -> web.Response:
        """How far telling a webhook has come."""
        outbox = self._reception.outbox
        if outbox is None:
            return _refusal(RefusedOrder("webhooks", "The sandbox was started without --webhook-url"), status=404)
        return _json(outbox.status)

    async def reset(self, _request: web.Request) -> web.Response:
        """Goes back to how the sandbox started."""
        self._reception.reset()
        return web.Response(status=204)

    async def unknown(self, request: web.Request) -> web.Response:
        """Says that there is no such path."""
        return _refusal(RefusedOrder("path", f"There is no {request.method} {request.path}"), status=404)


def _place(request: web.Request) -> tuple[int, int] | RefusedOrder:
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
