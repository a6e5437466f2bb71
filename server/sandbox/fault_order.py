"""Orders of faults: which requests they hit, when, and with which effect."""

import re
from typing import Annotated

import msgspec

from server.sandbox.effect import Effect, LimitingEffect, PassingEffect
from server.sandbox.preset import PRESETS

_PLACE = re.compile(r"(?P<message>.*?)(?: - at `(?:key in )?\$?(?P<path>.*)`)?", re.DOTALL)
_NAMED_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `([^`]*)`")


class RefusedOrder(msgspec.Struct, frozen=True):
    """The field that is wrong, as a path ("[1].effect.code"; empty for the whole body), and what is wrong with it."""

    field: str
    message: str


def refused_json(error: msgspec.DecodeError | UnicodeDecodeError) -> RefusedOrder:
    """Return a decoding error as a refused order."""
    found = _PLACE.fullmatch(str(error))
    message, path = (found["message"], found["path"] or "") if found else (str(error), "")
    named = _NAMED_FIELD.match(message)
    if named:
        path = f"{path}.{named.group(1)}"
    return RefusedOrder(path.removeprefix("."), message)


class FaultOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hits the requests that match all given fields, or all requests; times count from the order."""

    effect: Effect | None = None  # either this or a preset
    preset: str = ""
    recipients: tuple[str, ...] | str | None = None  # ids, or patterns with * and ?
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None  # of the recipients, by a hash of id and seed
    seed: int | None = None  # default: the sandbox's seed
    page: str = ""
    token: str = ""
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None  # only the first arrivals of each recipient
    after_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    for_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    accepts: bool = False  # the message arrives although the answer is an error

    def __repr__(self) -> str:
        return f"FaultOrder({self.preset or self.effect!r})"  # never the token


_decoder = msgspec.json.Decoder(FaultOrder | tuple[FaultOrder, ...])


def read_orders(body: bytes) -> tuple[FaultOrder, ...] | RefusedOrder:
    """Read orders from a JSON object or array, with presets replaced by their effects; or return the first error."""
    try:
        read = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return refused_json(error)
    orders = (read,) if isinstance(read, FaultOrder) else read
    for index, order in enumerate(orders):
        refused = _refusal(order)
        if refused:
            place = "" if isinstance(read, FaultOrder) else f"[{index}]."
            return RefusedOrder(place + refused.field, refused.message)
    return tuple(_with_preset(order) for order in orders)


def _refusal(order: FaultOrder) -> RefusedOrder | None:
    if order.preset and order.preset not in PRESETS:
        return RefusedOrder("preset", f"Unknown preset; there are {', '.join(PRESETS)}")
    if bool(order.preset) == (order.effect is not None):
        return RefusedOrder("effect", "Give either an effect or a preset")
    if order.recipients is not None and not all(order.recipients or [""]):
        return RefusedOrder("recipients", "Give ids or patterns, or leave it out for everyone")
    if order.accepts and isinstance(_with_preset(order).effect, PassingEffect | LimitingEffect):
        return RefusedOrder("accepts", "This effect itself says whether the message arrives")
    return None


def _with_preset(order: FaultOrder) -> FaultOrder:
    if not order.preset:
        return order
    preset = PRESETS[order.preset]
    return msgspec.structs.replace(order, preset="", effect=preset.effect, accepts=order.accepts or preset.accepts)
