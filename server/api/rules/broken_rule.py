"""A rule with words of its own, for validators to raise."""

from pydantic_core import PydanticCustomError

RULE = "rule"  # the type that tells such an error from pydantic's own


def broken_rule(words: str) -> PydanticCustomError:
    """The error that says so; the words may hold any character."""
    return PydanticCustomError(RULE, "{words}", {"words": words})
