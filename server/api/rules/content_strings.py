"""Strings of a content, before and after a recipient's variables are filled in: what is wrong with them."""

from collections.abc import Iterator, Sequence

from domain.content import TEXT, ContentProblem, FillableContent, StringRule
from domain.errors import Violation
from domain.placeholders import Fillable, is_blank, is_web_address
from domain.recipient import Recipient
from server.api.rules.stray_braces import stray_braces

LONGEST_RAW_STRING = 10_000  # characters of a string with placeholders; five times the most that can be sent
FAR_TOO_LONG = 10 * LONGEST_RAW_STRING  # looking for placeholders in a text of many megabytes takes too long


def string_problem(text: str, rule: StringRule) -> str | None:
    """Return what keeps a string from being sent to any recipient, in words that do not show it."""
    if len(text) > FAR_TOO_LONG:
        return f"must have at most {rule.limit:,} characters, has {len(text):,}"
    fillable = Fillable(text, is_url=rule.is_url)
    problem = _length_problem(text, fillable, rule) or stray_braces(fillable, is_payload=rule.is_payload)
    if problem is not None:
        return problem
    if rule.is_url and not _may_be_address(fillable):
        return "must be an http or https address"
    if rule.is_required and not fillable.count and is_blank(text):
        return "must not be blank: it has only spaces or invisible characters"
    return None


def template_problem(text: str, rule: StringRule) -> str | None:
    """Return the same for a template's string; the limits of one without placeholders are the platform's affair."""
    is_blank_title = rule.is_required and is_blank(text)
    if is_blank_title or ("{{" in text and Fillable(text).count):
        return string_problem(text, rule)
    return stray_braces(Fillable(text), is_payload=rule.is_payload) if "{{" in text or "}}" in text else None


def recipient_violations(content: FillableContent, recipients: Sequence[Recipient], *, first: int) -> list[Violation]:
    """Return why each recipient who cannot be sent the content cannot; they are counted from `first`."""
    if not content.variables:
        return []
    return [
        violation
        for index, recipient in enumerate(recipients, first)
        if (problem := content.problem(recipient.fillings())) is not None
        for violation in _violations(f"recipients[{index}]", problem, recipient)
    ]


def _violations(path: str, problem: ContentProblem, recipient: Recipient) -> Iterator[Violation]:
    """A missing name is named at the recipient's name, if no variable of that name was given; all else at variables."""
    is_name_missing = "name" in problem.missing and "name" not in recipient.variables
    if is_name_missing:
        yield Violation(f"{path}.name", problem.words)
    if not is_name_missing or len(problem.missing) > 1:
        yield Violation(f"{path}.variables", problem.words)


def _length_problem(text: str, fillable: Fillable, rule: StringRule) -> str | None:
    has_placeholders = fillable.count > 0
    is_too_long_raw = len(text) > LONGEST_RAW_STRING and (has_placeholders or rule is TEXT)
    length = len(text) if is_too_long_raw else sum(map(len, fillable.fixed))
    if length <= rule.limit:
        return None
    counted = ""
    if has_placeholders or rule is TEXT:
        counted = " before its variables are filled in" if is_too_long_raw else " without its variables"
    return f"must have at most {rule.limit:,} characters, has {length:,}{counted}"


def _may_be_address(fillable: Fillable) -> bool:
    """Whether the url is an address once it is filled in; one that begins with a placeholder depends on the value."""
    return fillable.begins_with_placeholder or is_web_address("x".join(fillable.fixed))
