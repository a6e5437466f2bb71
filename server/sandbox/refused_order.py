"""Why an order from the control API was not taken."""

import re

import msgspec

_PLACE = re.compile(r"(?P<message>.*?)(?: - at `(?:key in )?\$?(?P<path>.*)`)?", re.DOTALL)
_NAMED_FIELD = re.compile(r"Object (?:contains unknown|missing required) field `([^`]*)`")


class RefusedOrder(msgspec.Struct, frozen=True):
    """The field that is wrong, as a path ("[1].effect.code"; empty for the whole body), and what is wrong with it."""

    field: str
    message: str


def refused_json(error: msgspec.DecodeError | UnicodeDecodeError) -> RefusedOrder:
    """A decoding error in those terms."""
    found = _PLACE.fullmatch(str(error))
    message, path = (found["message"], found["path"] or "") if found else (str(error), "")
    named = _NAMED_FIELD.match(message)
    if named:
        path = f"{path}.{named.group(1)}"
    return RefusedOrder(path.removeprefix("."), message)
