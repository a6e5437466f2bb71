"""The rules of one message of the contract, declared as a model of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from domain.errors import InvalidRequest, Violation
from server.api.validation.field_kinds import RULE, WORDS_OF_SHAPES


class Rules(BaseModel):
    """Declares the fields that have a rule, by their names in the contract; the others may hold anything.

    Only what was given is looked at: a field that may be left out has a default, and one that is required has none.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _given_fields(cls, message: Any) -> Any:
        return {field.name: value for field, value in message.ListFields()}

    @classmethod
    def check(cls, message: Message, *, first: int = 0) -> None:
        """Raises InvalidRequest with every field that breaks a rule; recipients are counted from `first`."""
        try:
            cls.model_validate(message)
        except ValidationError as error:
            broken = error.errors(include_url=False)
            violations = [Violation(field_path(one["loc"], first=first), words_for(one)) for one in broken]
            raise InvalidRequest(violations) from None  # pydantic's own error holds what the fields hold


# Where in a request a rule was broken, as a path of the contract: `recipients[17].variables["city"]`.


MAPS = frozenset({"variables"})  # the fields of the contract that are maps
_LONGEST_KEY = 64  # characters shown of a key that is too long


def field_path(location: tuple[str | int, ...], *, first: int = 0) -> str:
    """The path to where pydantic found something; indices of lists are counted from `first`."""
    parts = iter(location)
    path = ""
    for part in parts:
        path += f"[{part + first}]" if isinstance(part, int) else f".{part}"
        if part in MAPS:
            path += _key(parts)
    return path.removeprefix(".")


def _key(parts: Iterator[str | int]) -> str:
    """The key that comes next, if any; pydantic's mark that it means the key itself is passed over."""
    key = next(parts, None)
    next(parts, None)
    return "" if key is None else f"[{json.dumps(str(key)[:_LONGEST_KEY])}]"


# What a broken rule says: it names the limit, never what the field holds.


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
