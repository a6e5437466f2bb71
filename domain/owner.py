"""Whose messages are meant: one owner's, or everybody's."""

ANYBODY = "*"  # stands where an owner is looked for, and means all of them; no owner is called so


def is_meant(owner: str, wanted: str) -> bool:
    """What this owner has is among what is looked for."""
    return wanted in (ANYBODY, owner)
