"""Braces of a string that fill nothing in: recipients would get a misspelt {{variable}} as it is written."""

import re

from domain.placeholders import Fillable

_BRACES = re.compile(r"\{\{|\}\}")
_BEGINS_WITH_DEFAULT = re.compile(r"\{\{\s*[A-Za-z0-9_]+\s*\|")


def stray_braces(fillable: Fillable, *, is_payload: bool = False) -> str | None:
    """Return what is wrong with the first double braces that are no placeholder, in words that do not show the string.

    A payload may be JSON, where objects end in `}}`: those are accepted if braces balance.
    """
    fixed = " ".join(fillable.fixed)
    found = _BRACES.findall(fixed)
    if not found or (is_payload and "{{" not in found and fixed.count("{") == fixed.count("}")):
        return None
    if found[0] == "}}":
        return "has }} without {{ before it"
    if found[1:2] != ["}}"]:
        return "has {{ without }} after it"
    if _BEGINS_WITH_DEFAULT.match(fixed, fixed.index("{{")):
        return "has a default with braces in {{ }}"
    return "has {{ }} around something else than a name of letters, digits and underscores"
