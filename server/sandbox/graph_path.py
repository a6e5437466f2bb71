"""Where a call goes: the path of a request, or the relative_url of a batch part."""

import re
from functools import lru_cache

import msgspec

_VERSION = re.compile(r"v\d+\.\d+")


class GraphPath(msgspec.Struct, frozen=True):
    """A node and its edge, without the version; both empty for the root, where batches go."""

    node: str = ""
    edge: str = ""


@lru_cache(maxsize=4096)
def graph_path(path: str) -> GraphPath | None:
    """The path taken apart; None when it has too many segments."""
    segments = [segment for segment in path.split("/") if segment]
    if segments and _VERSION.fullmatch(segments[0]):
        del segments[0]
    return GraphPath(*segments) if len(segments) <= 2 else None
