"""Owners of messages and pages, and the rules for who may use a page.

`wanted` is the owner whose objects a caller may use: the caller itself, or ANY_OWNER for an administrator.
"""

from collections.abc import Collection

ANY_OWNER = "*"  # matches every owner; no owner has this name


def matches_owner(owner: str, wanted: str) -> bool:
    """Return whether `wanted` matches this owner."""
    return wanted in (ANY_OWNER, owner)


def may_use_page(owner: str, shared_with: Collection[str], wanted: str) -> bool:
    """Return whether `wanted` may read a page and send through it.

    This holds for all who may change it, and for every caller while the page is shared with ANY_OWNER.
    """
    return ANY_OWNER in shared_with or may_change_page(owner, shared_with, wanted)


def may_change_page(owner: str, shared_with: Collection[str], wanted: str) -> bool:
    """Return whether `wanted` may change a page: the owner, a caller it is shared with by name, or ANY_OWNER.

    Every caller may change a page without an owner: it was registered with a release that recorded no owners.
    """
    return not owner or matches_owner(owner, wanted) or wanted in shared_with


def may_share_page(owner: str, wanted: str) -> bool:
    """Return whether `wanted` may decide who uses a page: the owner, or ANY_OWNER."""
    return wanted == ANY_OWNER or (bool(owner) and owner == wanted)
