"""The rules of one message of the contract, declared as a model of it."""

from typing import Any

from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from domain.errors import InvalidRequest, Violation
from server.api.rules.field_path import field_path
from server.api.rules.wording import words_for


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
