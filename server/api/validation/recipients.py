"""The rules of a recipient.

Nearly everybody keeps them, which a quick look tells in a fifth of the time: whom it doubts, the rules decide about.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import FailFast, Field

from domain.commands import Recipient
from server.api.validation.field_kinds import LONGEST_ID, PERSON_NAME, VARIABLE, RecipientId, up_to
from server.api.validation.recipient_ids import id_problem
from server.api.validation.rule_set import Rules

LONGEST_NAME = 200
LONGEST_VALUE = 1_000
MOST_VARIABLES = 50

Variables = dict[Annotated[str, up_to(64, VARIABLE)], Annotated[str, up_to(LONGEST_VALUE)]]


class RecipientRules(Rules):
    """One person to send to."""

    id: RecipientId
    name: Annotated[str, up_to(LONGEST_NAME, PERSON_NAME)] = ""
    # The first wrong one is told: all of 10,000 recipients' would take seconds.
    variables: Annotated[Variables, Field(default_factory=dict, max_length=MOST_VARIABLES), FailFast()]


_is_variable = re.compile(VARIABLE.pattern).fullmatch


def surely_keeps_rules(recipient: Recipient) -> bool:
    """Whether a quick look finds nothing that could break RecipientRules."""
    id_, name, variables = recipient.id, recipient.name, recipient.variables
    return (
        0 < len(id_) <= LONGEST_ID
        and not id_problem(id_)
        and len(name) <= LONGEST_NAME
        and name.isprintable()
        and (not variables or _surely_keep_rules(variables))
    )


def _surely_keep_rules(variables: Mapping[str, str]) -> bool:
    return (
        len(variables) <= MOST_VARIABLES
        and all(map(_is_variable, variables))
        and all(len(value) <= LONGEST_VALUE and "\0" not in value for value in variables.values())
    )
