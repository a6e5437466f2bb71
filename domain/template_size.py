"""How large an attachment template may be: as JSON, in values and in levels.

The platform documents no limit. Its largest template, ten cards with three buttons each, has about 200 values in 6
levels and a few kilobytes.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

MAX_TEMPLATE_BYTES = 64 * 1024  # of JSON without spaces, in UTF-8
MAX_TEMPLATE_NODES = 1_000  # values: objects, lists, texts, numbers and the rest; the template itself is not counted
MAX_TEMPLATE_DEPTH = 10  # objects and lists inside each other; the template itself is the first


def json_size(value: Any) -> int:
    """Return the number of bytes of a value as JSON without spaces, in UTF-8."""
    return len(msgspec.json.encode(value))


def excess(template: dict[str, Any]) -> str | None:
    """Return which limit a template exceeds, in words; None if it keeps to all of them.

    It looks at a few values more than are allowed, however many there are. Encoding it first would take a recursion as
    deep as the template.
    """
    for count, (_, depth) in enumerate(_nodes(template), 1):
        if count > MAX_TEMPLATE_NODES:
            return f"must have at most {MAX_TEMPLATE_NODES:,} values, has more"
        if depth > MAX_TEMPLATE_DEPTH:
            return f"must have at most {MAX_TEMPLATE_DEPTH} levels, has more"
    return size_excess(json_size(template))


def size_excess(size: int) -> str | None:
    """Return in words that so many bytes of JSON are too many; None if they are not."""
    if size <= MAX_TEMPLATE_BYTES:
        return None
    return f"must have at most {MAX_TEMPLATE_BYTES:,} bytes as JSON, has {size:,}"


def _nodes(template: dict[str, Any]) -> Iterator[tuple[Any, int]]:
    """Yield each value inside a template, with the level of its object or list, or of its own if it is one."""
    waiting: list[tuple[Any, int]] = [(template, 1)]
    while waiting:
        container, depth = waiting.pop()
        for value in container.values() if isinstance(container, dict) else container:
            is_container = isinstance(value, dict | list)
            yield value, depth + is_container
            if is_container:
                waiting.append((value, depth + 1))
