"""A protobuf Struct as plain values."""

from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

_EXACT = 2**53  # whole numbers up to here are exact in a Struct, which knows only doubles


def plain(given: Struct) -> dict[str, Any]:
    """Return what a Struct holds; whole numbers are ints, as their sender most likely wrote them."""
    return {name: _value(value) for name, value in given.fields.items()}


def _value(given: Value) -> Any:
    kind = given.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    value = getattr(given, kind)
    if isinstance(value, Struct):
        return plain(value)
    if isinstance(value, ListValue):
        return [_value(entry) for entry in value.values]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT
    return int(value) if is_whole else value
