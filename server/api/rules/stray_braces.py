"""Braces of a string that fill nothing in: recipients would get a misspelt {{variable}} as it is written."""

import re

import msgspec

from domain.placeholders import Fillable

_BRACES = re.compile(r"\{\{|\}\}")
_BEGINS_WITH_DEFAULT = re.compile(r"\{\{\s*[A-Za-z0-9_]+\s*\|")
_SPACED_PLACEHOLDER = re.compile(r"\{\s+\{\s*\w+\s*\}\}")
_HALF_PLACEHOLDER = re.compile(r"\{\{\s*[\w|]|[\w|]\s*\}\}")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_VALUE = "1"  # takes the place of a placeholder: JSON stays JSON, inside a string and outside


def stray_braces(fillable: Fillable, *, is_payload: bool = False) -> str | None:
    """Return what is wrong with the first double braces that are no placeholder, in words that do not show the string.

    Code and JSON end in `}}` too: without {{, those are accepted if braces balance. A payload that is JSON may have any
    braces in its strings that do not look like a part of a placeholder.
    """
    text = _VALUE.join(fillable.fixed)
    problem = _problem(" ".join(fillable.fixed))
    if problem is None or not is_payload or not _is_json(text):
        return problem
    strings = map(msgspec.json.decode, _JSON_STRING.findall(text))
    return next((problem for string in strings if (problem := _problem_in_json(string)) is not None), None)


def _problem_in_json(string: str) -> str | None:
    """Return what is wrong with the braces of a string inside JSON; those that have no name beside them are right."""
    is_pair = _BRACES.findall(string)[:2] == ["{{", "}}"]
    return _problem(string) if is_pair or _HALF_PLACEHOLDER.search(string) else None


def _problem(fixed: str) -> str | None:
    found = _BRACES.findall(fixed)
    if not found or ("{{" not in found and _are_balanced(fixed)):
        return None
    if found[0] == "}}":
        return "has }} without {{ before it"
    if found[1:2] != ["}}"]:
        return "has {{ without }} after it"
    if _BEGINS_WITH_DEFAULT.match(fixed, fixed.index("{{")):
        return "has a default with braces in {{ }}"
    return "has {{ }} around something else than a name of letters, digits and underscores"


def _are_balanced(text: str) -> bool:
    """Return whether each brace is closed after it is opened, and no placeholder was split by a space: { {name}}."""
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0 and _SPACED_PLACEHOLDER.search(text) is None


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True
