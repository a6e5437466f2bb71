"""The rules of one message of the contract, declared as a pydantic model, and their violations."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from domain.errors import InvalidRequest, Violation
from server.api.validation.field_types import RULE, RULES_BY_PATTERN

MAPS = frozenset({"variables"})  # the fields of the contract that are maps
_MAX_KEY_LENGTH = 64  # characters that a path shows of a key

Limits = Mapping[str, Any]
Size = Callable[[], int]

# The text of a violation by pydantic's type of error. It names the limit and at most the length of the value: a text
# never shows the value.
_TEXTS: Mapping[str, Callable[[Limits, Size], str]] = {
    "missing": lambda _, __: "is required",
    "string_too_short": lambda limits, _: f"must have at least {limits['min_length']:,} character",
    "string_too_long": lambda limits, size: f"must have at most {limits['max_length']:,} characters, has {size():,}",
    "string_pattern_mismatch": lambda limits, _: RULES_BY_PATTERN[limits["pattern"]],
    "too_short": lambda limits, _: f"must have at least {limits['min_length']:,} entry",
    "too_long": lambda limits, size: f"must have at most {limits['max_length']:,} entries, has {size():,}",
    "greater_than_equal": lambda limits, _: f"must be at least {limits['ge']:,.15g}",
    "less_than_equal": lambda limits, _: f"must be at most {limits['le']:,.15g}",
    "finite_number": lambda _, __: "must be a finite number",
    RULE: lambda context, _: str(context["text"]),
}


class Rules(BaseModel):
    """Declares the fields that have a rule, by their names in the contract; other fields may hold any value.

    Only fields that are set are checked: an optional field has a default, and a required one has none.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _set_fields(cls, message: Any) -> Any:
        return {field.name: value for field, value in message.ListFields()}

    @classmethod
    def check(cls, message: Message, *, first: int = 0) -> None:
        """Raise InvalidRequest with every field that breaks a rule; indices of recipients start at `first`."""
        try:
            cls.model_validate(message)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            violations = [Violation(field_path(one["loc"], first=first), violation_text(one)) for one in errors]
            raise InvalidRequest(violations) from None  # pydantic's own error holds the values of the fields


def violation_text(error: ErrorDetails) -> str:
    """Return the rule that a value breaks; of the value it shows at most its length."""
    return _TEXTS[error["type"]](error.get("ctx", {}), lambda: len(error["input"]))


def field_path(location: tuple[str | int, ...], *, first: int = 0) -> str:
    """Return the path of a field, such as `recipients[17].variables["city"]`; indices start at `first`."""
    parts = iter(location)
    path = ""
    for part in parts:
        path += f"[{part + first}]" if isinstance(part, int) else f".{part}"
        if part in MAPS:
            path += _key(parts)
    return path.removeprefix(".")


def _key(parts: Iterator[str | int]) -> str:
    """Return the key that follows, if any, and skip pydantic's mark of an error in the key itself."""
    key = next(parts, None)
    next(parts, None)
    return "" if key is None else f"[{json.dumps(str(key)[:_MAX_KEY_LENGTH])}]"
