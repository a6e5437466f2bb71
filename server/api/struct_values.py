"""Conversion of a protobuf Struct to plain values."""

from typing import Any

from google.protobuf.struct_pb2 import ListValue, Struct, Value

_MAX_EXACT_INT = 2**53  # a Struct holds doubles, which represent integers up to here exactly


def plain_values(given: Struct) -> dict[str, Any]:
    """Return a Struct as plain values; whole numbers become ints, as the caller most likely wrote them."""
    return {name: _value(value) for name, value in given.fields.items()}


def _value(given: Value) -> Any:
    kind = given.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    value = getattr(given, kind)
    if isinstance(value, Struct):
        return plain_values(value)
    if isinstance(value, ListValue):
        return [_value(entry) for entry in value.values]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_EXACT_INT
    return int(value) if is_whole else value
