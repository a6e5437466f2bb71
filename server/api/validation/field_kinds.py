"""The kinds of fields that requests are made of, each with its limits."""

import re
from typing import Annotated, Any, NamedTuple

from google.protobuf.descriptor import EnumDescriptor
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from domain.adaptive_rate import MIN_LIMIT
from domain.owner import ANY_OWNER
from server.api.validation.recipient_ids import id_problem
from server.auth.caller import OWNER_PATTERN


class Shape(NamedTuple):
    """A pattern that a text must have, and the rule in words."""

    pattern: str
    words: str


# NUL is refused everywhere: databases and the platform cut texts there, or refuse them.
NO_NUL = Shape(r"^[^\x00]*$", "must not hold NUL characters")
NO_SPACES = Shape(r"^[^\s\x00]*$", "must not hold spaces or NUL characters")
# What a terminal obeys, C0, DEL and C1, and the separators of lines and paragraphs. A reason may have lines.
ONE_LINE = Shape(r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$", "must be one line without control characters")
# A list of people may hold line ends in names; what shows a name to a person takes them out.
PERSON_NAME = Shape(
    r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$", "must not hold control characters but tabs and line ends"
)
LINES = Shape(r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$", "must not hold control characters but tabs and line feeds")
PAGE_ID = Shape(r"^[A-Za-z0-9._-]*$", "may hold only letters, digits, dots, dashes and underscores")
VARIABLE = Shape(r"^[A-Za-z0-9_]{1,64}$", "its name must be 1 to 64 letters, digits or underscores")

_SHAPES = (NO_NUL, NO_SPACES, ONE_LINE, PERSON_NAME, LINES, PAGE_ID, VARIABLE)
WORDS_OF_SHAPES = {shape.pattern: shape.words for shape in _SHAPES}


def up_to(limit: int, shape: Shape = NO_NUL, *, at_least: int = 0) -> StringConstraints:
    """A text of at most so many characters."""
    return StringConstraints(min_length=at_least, max_length=limit, pattern=shape.pattern)


def known(enum: EnumDescriptor, *, required: bool = False) -> AfterValidator:
    """A number of the enum; 0 stands for one that is not given."""
    numbers = set(enum.values_by_number) - ({0} if required else set())
    words = f"must be a known {enum.name} (1 to {max(numbers)})"

    def check(number: int) -> int:
        if number not in numbers:
            raise broken_rule(words)
        return number

    return AfterValidator(check)


def _readable(time: Any) -> Any:
    """A Timestamp that stands for a time."""
    try:
        time.ToDatetime()
    except (ValueError, OverflowError):
        raise broken_rule("must be a time in the years 1 to 9999") from None
    return time


def _valid_id(recipient_id: str) -> str:
    """Refuse an id that holds hidden characters or that a spreadsheet has changed."""
    if words := id_problem(recipient_id):
        raise broken_rule(words)
    return recipient_id


def _shared_with(name: str) -> str:
    """Refuse what is neither a caller's name nor "*" for every caller."""
    return name if name == ANY_OWNER else _caller_name(name)


def _caller_name(name: str) -> str:
    """Refuse what no caller is called."""
    if not re.match(OWNER_PATTERN, name):
        raise broken_rule("must be 1 to 128 characters without blanks and control characters, and not *")
    return name


LONGEST_ID = 128

RequestId = Annotated[str, up_to(LONGEST_ID)]
MessageId = Annotated[str, up_to(LONGEST_ID)]
PageId = Annotated[str, up_to(64, PAGE_ID)]
Owner = Annotated[str, up_to(LONGEST_ID)]
RecipientId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID), AfterValidator(_valid_id)]
# Releases before the rule accepted other ids: their receipts are still recorded, and their people still erased.
StoredRecipientId = Annotated[str, up_to(LONGEST_ID, NO_SPACES, at_least=1)]
CallerName = Annotated[str, AfterValidator(_caller_name)]
SharedWith = Annotated[str, AfterValidator(_shared_with)]
PageSize = Annotated[int, Field(ge=0, le=1000)]
Time = Annotated[Any, AfterValidator(_readable)]


def share(value: float) -> float:
    """Return a share from 0 to 1; raises a broken rule for anything else, so also for what is not a number."""
    if not 0 <= value <= 1:
        raise broken_rule("must be from 0 to 1")
    return value


FASTEST_PACE = 100_000  # messages per second


def pace(messages_per_second: float) -> float:
    """Return a pace, or 0 for one that is not given; raises a broken rule for what is outside, and for NaN."""
    if messages_per_second and not MIN_LIMIT <= messages_per_second <= FASTEST_PACE:
        raise broken_rule(f"must be from {MIN_LIMIT} to {FASTEST_PACE:,}, or 0 where it is not given")
    return messages_per_second


MessagesPerSecond = Annotated[float, AfterValidator(pace)]


# A rule with words of its own, for validators to raise.


RULE = "rule"  # the type that tells such an error from pydantic's own


def broken_rule(words: str) -> PydanticCustomError:
    """The error that says so; the words may hold any character."""
    return PydanticCustomError(RULE, "{words}", {"words": words})
