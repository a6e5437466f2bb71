"""Hypothesis strategies for events of every type, derived from the types of their fields."""

import enum
import types
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

_JSON = st.dictionaries(st.text(max_size=5), st.integers(-9, 9) | st.text(max_size=5) | st.booleans(), max_size=2)
_PLAIN: Mapping[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=20),
    datetime: st.datetimes(timezones=st.just(UTC)),
    timedelta: st.timedeltas(timedelta(0), timedelta(days=400)),
    types.NoneType: st.none(),
    Any: st.integers(),
}


def values_of(type_: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a field's type."""
    if type_ in _PLAIN:
        return _PLAIN[type_]
    origin, arguments = get_origin(type_), get_args(type_)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values_of, arguments))
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return _JSON if Any in arguments else st.dictionaries(*map(values_of, arguments), max_size=2)
    if issubclass(type_, enum.Enum):
        return st.sampled_from(type_)
    return structs_of(type_)


def structs_of(struct: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Return a strategy for instances of a struct; fields with a default are sometimes omitted."""
    hints = get_type_hints(struct)
    fields: Sequence[msgspec.structs.FieldInfo] = msgspec.structs.fields(struct)
    required = {field.name: values_of(hints[field.name]) for field in fields if field.required}
    optional = {field.name: values_of(hints[field.name]) for field in fields if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: struct(**given))
