"""An event's fields as JSON, without what is sealed, and without names."""

from collections.abc import Mapping
from typing import Any

import msgspec

from domain.event import Event
from domain.page_events import PageEvent

# The place of an event is told apart from its fields; of a request only its id is anybody's matter.
_LEFT_OUT = frozenset(("time", "message_id", "batch_number"))
# Who changes a page need not be who sent the message: of theirs no request is told.
_LEFT_OUT_OF_PAGES = _LEFT_OUT | {"request"}
_NOT_SHOWN = frozenset(("name", "sealed_by_person", "payload_hash", "answer"))


def details(event: Event) -> str:
    """The fields as a JSON object."""
    left_out = _LEFT_OUT_OF_PAGES if isinstance(event, PageEvent) else _LEFT_OUT
    shown = {field: value for field, value in _fields(event).items() if field not in left_out}
    return msgspec.json.encode(shown).decode()


def _fields(value: msgspec.Struct) -> dict[str, Any]:
    """The fields of a part, and what kind of part it is where there are several."""
    kind = value.__struct_config__.tag
    fields = {} if kind is None else {"type": kind}
    for field in value.__struct_fields__:
        part = getattr(value, field)
        if field not in _NOT_SHOWN and not isinstance(part, bytes):  # bytes are always sealed
            fields[field] = _shown(part)
    return fields


def _shown(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): _shown(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(part) for part in value]
    return value
