"""Braces of a text that fill nothing in: a misspelt {{variable}} would reach everybody as it stands."""

import re
from collections import defaultdict

from domain.content import fill_in

_BRACES = re.compile(r"\{\{|\}\}")


def stray_braces(text: str) -> str | None:
    """What is wrong with the first double braces that no variable explains, in words that do not show the text."""
    found = _BRACES.findall(fill_in(text, defaultdict(lambda: " ")))
    if not found:
        return None
    if found[0] == "}}":
        return "has }} without {{ before it"
    if found[1:2] == ["}}"]:
        return "has {{ }} around something else than a name of letters, digits and underscores"
    return "has {{ without }} after it"
