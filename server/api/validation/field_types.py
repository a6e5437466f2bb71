"""Types of request fields, each with its limits."""

import re
from typing import Annotated, Any, NamedTuple

from google.protobuf.descriptor import EnumDescriptor
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from domain.adaptive_rate import MIN_LIMIT
from domain.owner import ANY_OWNER
from server.api.validation.recipient_ids import id_problem
from server.auth.caller import OWNER_PATTERN

RULE = "rule"  # pydantic's type of error for `rule_error`

MAX_ID_LENGTH = 128
MAX_MESSAGES_PER_SECOND = 100_000


class TextPattern(NamedTuple):
    """A regular expression that a text must match, and the rule as violations state it."""

    pattern: str
    rule: str


# No text may hold NUL: databases and the platform truncate or refuse it.
NO_NUL = TextPattern(r"^[^\x00]*$", "must not hold NUL characters")
NO_SPACES = TextPattern(r"^[^\s\x00]*$", "must not hold spaces or NUL characters")
# Refused are the characters that control a terminal (C0, DEL, C1) and the separators of lines and paragraphs.
ONE_LINE = TextPattern(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", "must be one line without control characters")
# Names in lists of recipients may hold line ends; the clients remove them before they show a name.
PERSON_NAME = TextPattern(
    r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$", "must not hold control characters except tabs and line ends"
)
LINES = TextPattern(r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$", "must not hold control characters except tabs and line feeds")
PAGE_ID = TextPattern(r"^[A-Za-z0-9._-]*$", "may hold only letters, digits, dots, dashes and underscores")
VARIABLE = TextPattern(r"^[A-Za-z0-9_]{1,64}$", "its name must be 1 to 64 letters, digits or underscores")

_PATTERNS = (NO_NUL, NO_SPACES, ONE_LINE, PERSON_NAME, LINES, PAGE_ID, VARIABLE)
RULES_BY_PATTERN = {one.pattern: one.rule for one in _PATTERNS}


def rule_error(text: str) -> PydanticCustomError:
    """Return an error for a validator to raise; the text may hold any character."""
    return PydanticCustomError(RULE, "{text}", {"text": text})


def text_up_to(limit: int, pattern: TextPattern = NO_NUL, *, at_least: int = 0) -> StringConstraints:
    """Return the constraint of a text of at most `limit` characters."""
    return StringConstraints(min_length=at_least, max_length=limit, pattern=pattern.pattern)


def enum_value(enum: EnumDescriptor, *, required: bool = False) -> AfterValidator:
    """Return a check that a number is one of the enum; 0 means that the field is not set."""
    numbers = set(enum.values_by_number) - ({0} if required else set())
    rule = f"must be a known {enum.name} (1 to {max(numbers)})"

    def check(number: int) -> int:
        if number not in numbers:
            raise rule_error(rule)
        return number

    return AfterValidator(check)


def share(value: float) -> float:
    """Return a share from 0 to 1; refuse other numbers and NaN."""
    if not 0 <= value <= 1:
        raise rule_error("must be from 0 to 1")
    return value


def _rate(messages_per_second: float) -> float:
    """Return a rate, or 0 if it is not set; refuse a rate outside the limits and NaN."""
    if messages_per_second and not MIN_LIMIT <= messages_per_second <= MAX_MESSAGES_PER_SECOND:
        raise rule_error(f"must be from {MIN_LIMIT} to {MAX_MESSAGES_PER_SECOND:,}, or 0 if it is not given")
    return messages_per_second


def _time(time: Any) -> Any:
    """Refuse a Timestamp outside the years that Python can represent."""
    try:
        time.ToDatetime()
    except (ValueError, OverflowError):
        raise rule_error("must be a time in the years 1 to 9999") from None
    return time


def _valid_id(recipient_id: str) -> str:
    """Refuse an id that holds hidden characters or that a spreadsheet has changed."""
    if problem := id_problem(recipient_id):
        raise rule_error(problem)
    return recipient_id


def _caller_name(name: str) -> str:
    """Refuse a text that cannot be the name of a caller."""
    if not re.match(OWNER_PATTERN, name):
        raise rule_error("must be 1 to 128 characters without blanks and control characters, and not *")
    return name


def _shared_with(name: str) -> str:
    """Refuse a text that is neither the name of a caller nor "*" for every caller."""
    return name if name == ANY_OWNER else _caller_name(name)


RequestId = Annotated[str, text_up_to(MAX_ID_LENGTH)]
MessageId = Annotated[str, text_up_to(MAX_ID_LENGTH)]
PageId = Annotated[str, text_up_to(64, PAGE_ID)]
Owner = Annotated[str, text_up_to(MAX_ID_LENGTH)]
RecipientId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_valid_id)]
# Older releases accepted more ids: receipts of these recipients are still recorded, and they can still be erased.
StoredRecipientId = Annotated[str, text_up_to(MAX_ID_LENGTH, NO_SPACES, at_least=1)]
CallerName = Annotated[str, AfterValidator(_caller_name)]
SharedWith = Annotated[str, AfterValidator(_shared_with)]
PageSize = Annotated[int, Field(ge=0, le=1000)]
Time = Annotated[Any, AfterValidator(_time)]
MessagesPerSecond = Annotated[float, AfterValidator(_rate)]
