"""All faults that stand, and what they make of one request."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from types import MappingProxyType

import msgspec

from server.sandbox.arrival import Incoming
from server.sandbox.effect import Delay, Effect, EndingEffect, Headers, RateLimit, Usage
from server.sandbox.fault_order import FaultOrder
from server.sandbox.placed_fault import PlacedFault


class Verdict(msgspec.Struct, frozen=True):
    """What happens to a request: delays and headers add up, the last usage holds, the first ending effect decides."""

    effect: EndingEffect | None = None
    accepts: bool = False
    delay_seconds: float = 0.0
    usage_percent: int | None = None
    retry_after: int | None = None  # whole seconds
    headers: Mapping[str, str] = MappingProxyType({})


class FaultStatus(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it stands; a token in it is shown by its fingerprint."""

    id: str
    order: FaultOrder
    hits: int
    over: bool


PASSES = Verdict()


class FaultBook:
    """Faults in the order in which they were placed."""

    def __init__(self, *, seed: int, clock: Callable[[], float]) -> None:
        self._seed = seed
        self._clock = clock
        self._faults: list[PlacedFault] = []
        self._placed = 0

    def place(self, orders: Sequence[FaultOrder]) -> Sequence[FaultStatus]:
        """Puts orders to work, behind those that stand; they come from read_orders."""
        now = self._clock()
        placed = [self._placed_fault(order, now) for order in orders]
        self._faults.extend(placed)
        return [_status(fault, now) for fault in placed]

    def list(self) -> Sequence[FaultStatus]:
        """All that stand, also those whose window has passed."""
        now = self._clock()
        return [_status(fault, now) for fault in self._faults]

    def remove(self, fault_id: str) -> bool:
        """Takes one away; False when there is none of that id."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Takes all away."""
        self._faults = []

    def renew(self, token: str) -> None:
        """Lets a token (its fingerprint) pass that was taken for expired."""
        for fault in self._faults:
            fault.renew(token)

    def decide(self, incoming: Incoming) -> Verdict:
        """What happens to a request; hits are counted."""
        if not self._faults:
            return PASSES
        now, verdict = self._clock(), PASSES
        for fault in self._faults:
            if not fault.hits_now(incoming, now):
                continue
            passing = _passing(verdict, fault.effect)
            if passing is None:
                wait = ceil(fault.limit_remaining(incoming.page, now)) if isinstance(fault.effect, RateLimit) else None
                ending = {"effect": fault.effect, "accepts": fault.order.accepts, "retry_after": wait}
                return msgspec.structs.replace(verdict, **ending)
            verdict = passing
        return verdict

    def _placed_fault(self, order: FaultOrder, now: float) -> PlacedFault:
        if order.effect is None:
            raise ValueError("an order without an effect: read_orders refuses those")
        self._placed += 1
        return PlacedFault(self._placed, order, order.effect, seed=self._seed, now=now)


def _passing(verdict: Verdict, effect: Effect) -> Verdict | None:
    """Return the verdict after one more effect that lets the request pass; None for one that does not."""
    match effect:
        case Delay(seconds=seconds):
            return msgspec.structs.replace(verdict, delay_seconds=verdict.delay_seconds + seconds)
        case Usage(percent=percent):
            return msgspec.structs.replace(verdict, usage_percent=percent)
        case Headers(headers=headers):
            return msgspec.structs.replace(verdict, headers={**verdict.headers, **headers})
    return None


def _status(fault: PlacedFault, now: float) -> FaultStatus:
    return FaultStatus(id=fault.id, order=fault.order, hits=fault.hits, over=fault.is_over(now))
