"""The ordered faults, and what they do to a request."""

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from math import ceil
from types import MappingProxyType

import msgspec

from server.sandbox.effect import (
    Delay,
    Effect,
    EndingEffect,
    ErrorAnswer,
    Headers,
    NullPart,
    RateLimit,
    TokenExpired,
    Usage,
    UserToken,
)
from server.sandbox.fault_order import FaultOrder
from server.sandbox.record import Incoming
from server.sandbox.token_book import fingerprint


class ActiveFault:
    """An order with its counters; `now` is in seconds of the fault book's clock."""

    def __init__(self, number: int, order: FaultOrder, effect: Effect, *, seed: int, now: float) -> None:
        self.id = f"f{number}"
        self.order = msgspec.structs.replace(order, token=fingerprint(order.token))
        self.effect = effect
        self.hits = 0
        self._begins = now + order.after_seconds
        self._ends = self._begins + order.for_seconds if order.for_seconds is not None else float("inf")
        self._named = _matcher(order.recipients)
        self._seed = seed if order.seed is None else order.seed
        self._times: dict[str, int] = {}
        self._expired: dict[str, str] = {}  # page -> its expired token
        self._renewed: set[str] = set()
        self._limited_until: dict[str, float] = {}

    def hits_now(self, incoming: Incoming, now: float) -> bool:
        """Return whether the fault hits this request, and count a hit."""
        if not (self._begins <= now < self._ends and self._aims_at(incoming)):
            return False
        if isinstance(self.effect, TokenExpired | UserToken) and not self._is_expired(incoming):
            return False
        if isinstance(self.effect, RateLimit) and self.limit_remaining(incoming.page, now) <= 0:
            return False
        if self.order.times is not None and not self._use_up(incoming.recipient or "", self.order.times):
            return False
        self.hits += 1
        return True

    def is_over(self, now: float) -> bool:
        """Return whether its time has passed."""
        return now >= self._ends

    def limit_remaining(self, page: str, now: float) -> float:
        """Return the seconds until a page's rate limit ends; the first call starts it."""
        if not isinstance(self.effect, RateLimit):
            return 0.0
        return self._limited_until.setdefault(page, now + self.effect.seconds) - now

    def renew(self, token: str) -> None:
        """Let an expired token (its fingerprint) pass again."""
        self._renewed.add(token)

    def _aims_at(self, incoming: Incoming) -> bool:
        order = self.order
        if (order.page and order.page != incoming.page) or (order.token and order.token != incoming.token):
            return False
        if incoming.recipient is None:
            return self._aims_at_token_checks()
        if isinstance(self.effect, NullPart) and not incoming.in_batch:
            return False
        if self._named is not None and not self._named(incoming.recipient):
            return False
        return order.share is None or share_point(incoming.recipient, self._seed) < order.share

    def _aims_at_token_checks(self) -> bool:
        """Return whether token checks are hit: only by faults without a filter that are not about messages."""
        order = self.order
        everything = self._named is None and order.share is None and order.times is None
        return everything and not isinstance(self.effect, ErrorAnswer | NullPart)

    def _is_expired(self, incoming: Incoming) -> bool:
        if incoming.token in self._renewed:
            return False
        if self.order.token:
            return True
        if incoming.recipient is None and isinstance(self.effect, TokenExpired):
            return self._expired.get(incoming.page) == incoming.token
        return self._expired.setdefault(incoming.page, incoming.token) == incoming.token

    def _use_up(self, recipient: str, times: int) -> bool:
        used = self._times.get(recipient, 0)
        if used >= times:
            return False
        self._times[recipient] = used + 1
        return True


def share_point(recipient: str, seed: int) -> float:
    """Return a recipient's point between 0 and 1, the same for the same seed and evenly distributed."""
    digest = blake2b(f"{seed}:{recipient}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _matcher(recipients: Iterable[str] | None) -> Callable[[str], bool] | None:
    if recipients is None:
        return None
    entries = {recipients} if isinstance(recipients, str) else set(recipients)
    patterns = {entry for entry in entries if "*" in entry or "?" in entry}
    if not patterns:
        return entries.__contains__
    pattern = re.compile("|".join(fnmatch.translate(entry) for entry in patterns))
    return lambda recipient: recipient in entries or pattern.match(recipient) is not None


class FaultDecision(msgspec.Struct, frozen=True):
    """What happens to a request: delays and headers add up, the last usage and the first ending effect count."""

    effect: EndingEffect | None = None
    accepts: bool = False
    delay_seconds: float = 0.0
    usage_percent: int | None = None
    retry_after: int | None = None  # whole seconds
    headers: Mapping[str, str] = MappingProxyType({})


class FaultStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an order; its token is shown by its fingerprint."""

    id: str
    order: FaultOrder
    hits: int
    over: bool


PASSES = FaultDecision()


class FaultBook:
    """The faults, in the order in which they were ordered."""

    def __init__(self, *, seed: int, clock: Callable[[], float]) -> None:
        self._seed = seed
        self._clock = clock
        self._faults: list[ActiveFault] = []
        self._placed = 0

    def place(self, orders: Sequence[FaultOrder]) -> Sequence[FaultStatus]:
        """Add orders, which come from read_orders, after the existing ones."""
        now = self._clock()
        placed = [self._placed_fault(order, now) for order in orders]
        self._faults.extend(placed)
        return [_status(fault, now) for fault in placed]

    def list(self) -> Sequence[FaultStatus]:
        """Return all faults, including those whose time has passed."""
        now = self._clock()
        return [_status(fault, now) for fault in self._faults]

    def remove(self, fault_id: str) -> bool:
        """Remove a fault; return False if no fault has this id."""
        before = len(self._faults)
        self._faults = [fault for fault in self._faults if fault.id != fault_id]
        return len(self._faults) < before

    def clear(self) -> None:
        """Remove all faults."""
        self._faults = []

    def renew(self, token: str) -> None:
        """Let an expired token (its fingerprint) pass again."""
        for fault in self._faults:
            fault.renew(token)

    def decide(self, incoming: Incoming) -> FaultDecision:
        """Return what happens to a request, and count the hits."""
        if not self._faults:
            return PASSES
        now, decision = self._clock(), PASSES
        for fault in self._faults:
            if not fault.hits_now(incoming, now):
                continue
            passing = _passing(decision, fault.effect)
            if passing is None:
                wait = ceil(fault.limit_remaining(incoming.page, now)) if isinstance(fault.effect, RateLimit) else None
                ending = {"effect": fault.effect, "accepts": fault.order.accepts, "retry_after": wait}
                return msgspec.structs.replace(decision, **ending)
            decision = passing
        return decision

    def _placed_fault(self, order: FaultOrder, now: float) -> ActiveFault:
        if order.effect is None:
            raise ValueError("an order without an effect: read_orders refuses those")
        self._placed += 1
        return ActiveFault(self._placed, order, order.effect, seed=self._seed, now=now)


def _passing(decision: FaultDecision, effect: Effect) -> FaultDecision | None:
    """Return the decision after one more passing effect; None for an ending effect."""
    match effect:
        case Delay(seconds=seconds):
            return msgspec.structs.replace(decision, delay_seconds=decision.delay_seconds + seconds)
        case Usage(percent=percent):
            return msgspec.structs.replace(decision, usage_percent=percent)
        case Headers(headers=headers):
            return msgspec.structs.replace(decision, headers={**decision.headers, **headers})
    return None


def _status(fault: ActiveFault, now: float) -> FaultStatus:
    return FaultStatus(id=fault.id, order=fault.order, hits=fault.hits, over=fault.is_over(now))
