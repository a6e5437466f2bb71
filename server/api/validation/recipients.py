"""Rules of a recipient, and a quick check that takes a fifth of the time.

Nearly all recipients pass the quick check. RecipientRules decide about the others.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import FailFast, Field

from domain.commands import Recipient
from server.api.validation.field_types import MAX_ID_LENGTH, PERSON_NAME, VARIABLE, RecipientId, text_up_to
from server.api.validation.recipient_ids import id_problem
from server.api.validation.rule_set import Rules

MAX_NAME_LENGTH = 200
MAX_VALUE_LENGTH = 1_000
MAX_VARIABLES = 50

Variables = dict[Annotated[str, text_up_to(64, VARIABLE)], Annotated[str, text_up_to(MAX_VALUE_LENGTH)]]


class RecipientRules(Rules):
    """One person to send to."""

    id: RecipientId
    name: Annotated[str, text_up_to(MAX_NAME_LENGTH, PERSON_NAME)] = ""
    # Only the first violation is reported: all of 10,000 recipients would take seconds.
    variables: Annotated[Variables, Field(default_factory=dict, max_length=MAX_VARIABLES), FailFast()]


_is_variable = re.compile(VARIABLE.pattern).fullmatch


def passes_quick_check(recipient: Recipient) -> bool:
    """Return True if the recipient certainly keeps RecipientRules."""
    id_, name, variables = recipient.id, recipient.name, recipient.variables
    return (
        0 < len(id_) <= MAX_ID_LENGTH
        and not id_problem(id_)
        and len(name) <= MAX_NAME_LENGTH
        and name.isprintable()
        and (not variables or _variables_pass_quick_check(variables))
    )


def _variables_pass_quick_check(variables: Mapping[str, str]) -> bool:
    return (
        len(variables) <= MAX_VARIABLES
        and all(map(_is_variable, variables))
        and all(len(value) <= MAX_VALUE_LENGTH and "\0" not in value for value in variables.values())
    )
