"""What a broken rule says: it names the limit, never what the field holds."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from server.api.rules.broken_rule import RULE
from server.api.rules.field_kinds import WORDS_OF_SHAPES

# By pydantic's type of error, from its limits and how much was given.
_WORDS: Mapping[str, Callable[[Mapping[str, Any], Callable[[], int]], str]] = {
    "missing": lambda _, __: "is required",
    "string_too_short": lambda limits, _: f"must have at least {limits['min_length']:,} character",
    "string_too_long": lambda limits, given: f"must have at most {limits['max_length']:,} characters, has {given():,}",
    "string_pattern_mismatch": lambda limits, _: WORDS_OF_SHAPES[limits["pattern"]],
    "too_short": lambda limits, _: f"must have at least {limits['min_length']:,} entry",
    "too_long": lambda limits, given: f"must have at most {limits['max_length']:,} entries, has {given():,}",
    "greater_than_equal": lambda limits, _: f"must be at least {limits['ge']:,.15g}",
    "less_than_equal": lambda limits, _: f"must be at most {limits['le']:,.15g}",
    "finite_number": lambda _, __: "must be a finite number",
    RULE: lambda limits, _: str(limits["words"]),
}


def words_for(error: ErrorDetails) -> str:
    """The rule in words; of what was given they tell its length at most."""
    return _WORDS[error["type"]](error.get("ctx", {}), lambda: len(error["input"]))
