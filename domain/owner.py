"""Whose messages are meant, one owner's or everybody's; and which callers may use a page."""

from collections.abc import Collection

ANYBODY = "*"  # stands where an owner is looked for, and means all of them; no owner is called so


def is_meant(owner: str, wanted: str) -> bool:
    """What this owner has is among what is looked for."""
    return wanted in (ANYBODY, owner)


def may_use_page(owner: str, shared_with: Collection[str], wanted: str) -> bool:
    """Return whether callers who are meant may see a page and send through it.

    These are all who may change it, and every caller while it is shared with ANYBODY.
    """
    return ANYBODY in shared_with or may_change_page(owner, shared_with, wanted)


def may_change_page(owner: str, shared_with: Collection[str], wanted: str) -> bool:
    """Return whether callers who are meant may change a page: its owner, those that it is shared with by name, ANYBODY.

    A page without an owner was registered with a release that kept no owners: every caller may change it.
    """
    return not owner or is_meant(owner, wanted) or wanted in shared_with


def may_share_page(owner: str, wanted: str) -> bool:
    """Return whether callers who are meant may decide who uses a page: its owner, and ANYBODY."""
    return wanted == ANYBODY or (bool(owner) and owner == wanted)
