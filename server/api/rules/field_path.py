"""Where in a request a rule was broken, as a path of the contract: `recipients[17].variables["city"]`."""

import json
from collections.abc import Iterator

MAPS = frozenset({"variables"})  # the fields of the contract that are maps
_LONGEST_KEY = 64  # characters shown of a key that is too long


def field_path(location: tuple[str | int, ...], *, first: int = 0) -> str:
    """The path to where pydantic found something; indices of lists are counted from `first`."""
    parts = iter(location)
    path = ""
    for part in parts:
        path += f"[{part + first}]" if isinstance(part, int) else f".{part}"
        if part in MAPS:
            path += _key(parts)
    return path.removeprefix(".")


def _key(parts: Iterator[str | int]) -> str:
    """The key that comes next, if any; pydantic's mark that it means the key itself is passed over."""
    key = next(parts, None)
    next(parts, None)
    return "" if key is None else f"[{json.dumps(str(key)[:_LONGEST_KEY])}]"
