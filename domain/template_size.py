"""The limits of an attachment template: size as JSON, number of values and nesting.

The platform documents no limit. Its largest template, ten cards with three buttons each, has about 200 values in 6
levels and a few kilobytes.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

MAX_TEMPLATE_BYTES = 64 * 1024  # of JSON without spaces, in UTF-8
MAX_TEMPLATE_NODES = 1_000  # values of every kind, objects and lists included; the template itself does not count
MAX_TEMPLATE_DEPTH = 10  # nested objects and lists; the template itself is the first level


def json_size(value: Any) -> int:
    """Return the number of bytes of a value as JSON without spaces, in UTF-8."""
    return len(msgspec.json.encode(value))


def exceeded_limit(template: dict[str, Any]) -> str | None:
    """Return which limit a template exceeds, as text; None if it exceeds none.

    The nesting is checked before the template is encoded, because the encoder recurses as deep as the template. At most
    one value more than allowed is visited.
    """
    for count, (_, depth) in enumerate(_nodes(template), 1):
        if count > MAX_TEMPLATE_NODES:
            return f"must have at most {MAX_TEMPLATE_NODES:,} values, has more"
        if depth > MAX_TEMPLATE_DEPTH:
            return f"must have at most {MAX_TEMPLATE_DEPTH} levels, has more"
    return exceeded_size_limit(json_size(template))


def exceeded_size_limit(size: int) -> str | None:
    """Return a text if this number of bytes exceeds the limit; else None."""
    if size <= MAX_TEMPLATE_BYTES:
        return None
    return f"must have at most {MAX_TEMPLATE_BYTES:,} bytes as JSON, has {size:,}"


def _nodes(template: dict[str, Any]) -> Iterator[tuple[Any, int]]:
    """Yield each value inside a template with its level; a text or number has the level of its container."""
    containers: list[tuple[Any, int]] = [(template, 1)]
    while containers:
        container, depth = containers.pop()
        for value in container.values() if isinstance(container, dict) else container:
            is_container = isinstance(value, dict | list)
            yield value, depth + is_container
            if is_container:
                containers.append((value, depth + 1))
