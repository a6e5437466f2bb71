"""The rules of what is sent."""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any

import msgspec
from google.protobuf.struct_pb2 import Struct, Value
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from domain.commands import Recipient
from domain.content import (
    OTHER_TITLE,
    PAYLOAD,
    TEXT,
    TITLE,
    URL,
    ContentProblem,
    FillableContent,
    StringRule,
    template_strings,
)
from domain.errors import Violation
from domain.placeholders import Fillable, is_blank, is_web_address
from domain.template_size import MAX_TEMPLATE_BYTES, MAX_TEMPLATE_NODES, exceeded_limit
from redrive.v1.content_pb2 import AttachmentType, MessagingType, NotificationType, QuickReply
from server.api.mapping.content import plain
from server.api.validation.field_kinds import NO_NUL, broken_rule, known
from server.api.validation.rule_set import Rules

CONTENT_TYPES = ("text", "user_phone_number", "user_email")
TAGS = ("HUMAN_AGENT", "CUSTOMER_FEEDBACK")
MOST_REPLY_BYTES = 64 * 1024  # of all quick replies, as they are written: three times as much as can be sent
MOST_PLACEHOLDERS = 500  # of a template: five for each string of ten cards with three buttons
_MOST_OVERHEAD = 24  # bytes of a value in a Struct beyond what it has as JSON: four lengths, tags, and a double
_LONGEST_PATH = 100  # characters shown of a path inside a template

WithoutNul = Annotated[str, StringConstraints(pattern=NO_NUL.pattern)]


def _checked(text: str, rule: StringRule) -> str:
    if (problem := string_problem(text, rule)) is not None:
        raise broken_rule(problem)
    return text


def _of(rule: StringRule) -> AfterValidator:
    """A string that placeholders are filled in in, and that may be left out."""
    return AfterValidator(lambda text: _checked(text, rule) if text else text)


class AttachmentRules(Rules):
    """A file by its address, or a template."""

    type: Annotated[int, known(AttachmentType.DESCRIPTOR, required=True)]
    url: Annotated[str, _of(URL)] | None = Field(default=None, validate_default=True)
    template: Any = Field(default=None, validate_default=True)

    @field_validator("url")
    @classmethod
    def _address_of_a_file(cls, url: str | None, given: ValidationInfo) -> str | None:
        if url is None and given.data.get("type") not in (None, AttachmentType.ATTACHMENT_TYPE_TEMPLATE):
            raise broken_rule("is required, except for a template")
        return url

    @field_validator("template")
    @classmethod
    def _payload_of_a_template(cls, template: Struct | None, given: ValidationInfo) -> Struct | None:
        if "type" not in given.data:
            return template
        is_template = given.data["type"] == AttachmentType.ATTACHMENT_TYPE_TEMPLATE
        fields = template.fields if template is not None else {}
        if is_template and not fields:
            raise broken_rule("is required for a template")
        if fields and not is_template:
            raise broken_rule("must be empty, except for a template")
        if template is not None and (problem := _struct_problem(template)) is not None:
            raise broken_rule(problem)
        return template


def _struct_problem(template: Struct) -> str | None:
    """Return what is wrong with a template; one of many megabytes is not looked at value by value."""
    if template.ByteSize() > MAX_TEMPLATE_BYTES + MAX_TEMPLATE_NODES * _MOST_OVERHEAD:
        return f"must have at most {MAX_TEMPLATE_BYTES:,} bytes as JSON and {MAX_TEMPLATE_NODES:,} values, has more"
    if not all(map(_is_plain, _leaves(template.fields))):
        return "must not hold NUL characters or numbers that are not finite"
    payload = plain(template)
    return exceeded_limit(payload) or _template_problem(payload)


def _leaves(fields: Mapping[str, Value]) -> Iterator[str | float]:
    for name, value in fields.items():
        yield name
        yield from _leaves_of(value)


def _leaves_of(value: Value) -> Iterator[str | float]:
    match value.WhichOneof("kind"):
        case "struct_value":
            yield from _leaves(value.struct_value.fields)
        case "list_value":
            for entry in value.list_value.values:
                yield from _leaves_of(entry)
        case "string_value":
            yield value.string_value
        case "number_value":
            yield value.number_value


def _is_plain(leaf: str | float) -> bool:
    return "\0" not in leaf if isinstance(leaf, str) else isfinite(leaf)


def _template_problem(template: dict[str, Any]) -> str | None:
    """Return what is wrong with the first wrong string or key of a template, and where it is."""
    if any("{{" in key or "}}" in key for key in _keys(template)):
        return "must not have {{ or }} in a key: only values are filled in"
    placeholders = 0
    for string in template_strings(template):
        if (problem := template_problem(string.text, string.rule)) is not None:
            path = string.path if len(string.path) <= _LONGEST_PATH else f"{string.path[:_LONGEST_PATH]}…"
            return f"{path} {problem}"
        placeholders += Fillable(string.text).count if "{{" in string.text else 0
    if placeholders > MOST_PLACEHOLDERS:
        return f"must have at most {MOST_PLACEHOLDERS} placeholders, has {placeholders:,}"
    return None


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)


def _known_content_type(content_type: str) -> str:
    if content_type not in CONTENT_TYPES:
        raise broken_rule("must be text, user_phone_number or user_email")
    return content_type


class QuickReplyRules(Rules):
    """A button under the text."""

    content_type: Annotated[str, AfterValidator(_known_content_type)] = "text"
    title: Annotated[WithoutNul, _of(OTHER_TITLE)] = Field(default="", validate_default=True)
    payload: Annotated[WithoutNul, _of(PAYLOAD)] = ""

    @field_validator("title")
    @classmethod
    def _title_of_a_text(cls, title: str, given: ValidationInfo) -> str:
        if not title and given.data.get("content_type") == "text":
            raise broken_rule("must have 1 to 20 characters, unless content_type is another than text")
        return _checked(title, TITLE) if given.data.get("content_type") == "text" else title


def _not_too_large(replies: Sequence[QuickReply]) -> Sequence[QuickReply]:
    """Bound what thirteen of them may have before variables are filled in."""
    if (size := sum(reply.ByteSize() for reply in replies)) > MOST_REPLY_BYTES:
        raise broken_rule(f"must have at most {MOST_REPLY_BYTES:,} bytes together, have {size:,}")
    return replies


class ContentRules(Rules):
    """A text or an attachment, and what goes with it."""

    attachment: AttachmentRules | None = None
    text: WithoutNul = Field(default="", validate_default=True)
    quick_replies: Annotated[
        list[QuickReplyRules], BeforeValidator(_not_too_large), Field(default_factory=list, max_length=13)
    ]
    messaging_type: Annotated[int, known(MessagingType.DESCRIPTOR)] = 0
    tag: str = Field(default="", validate_default=True)
    notification_type: Annotated[int, known(NotificationType.DESCRIPTOR)] = 0

    @field_validator("text")
    @classmethod
    def _text_or_attachment(cls, text: str, given: ValidationInfo) -> str:
        has_attachment = given.data.get("attachment") is not None
        if not text and not has_attachment and "attachment" in given.data:  # one that breaks a rule is not in data
            raise broken_rule("is required without an attachment")
        if text and has_attachment:
            raise broken_rule("must be empty with an attachment: the platform takes one or the other")
        return _checked(text, TEXT) if text else text

    @field_validator("tag")
    @classmethod
    def _tag_of_a_tagged_message(cls, tag: str, given: ValidationInfo) -> str:
        if "messaging_type" not in given.data:
            return tag
        is_tagged = given.data["messaging_type"] == MessagingType.MESSAGING_TYPE_MESSAGE_TAG
        if is_tagged and tag not in TAGS:
            raise broken_rule("must be HUMAN_AGENT or CUSTOMER_FEEDBACK with MESSAGING_TYPE_MESSAGE_TAG")
        if tag and not is_tagged:
            raise broken_rule("must be empty, except with MESSAGING_TYPE_MESSAGE_TAG")
        return tag


# Strings of a content, before and after a recipient's variables are filled in: what is wrong with them.


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
        if (problem := content.problem(recipient.variable_values())) is not None
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


# Braces of a string that fill nothing in: recipients would get a misspelt {{variable}} as it is written.


_BRACES = re.compile(r"\{\{|\}\}")
_BEGINS_WITH_DEFAULT = re.compile(r"\{\{\s*[A-Za-z0-9_]+\s*\|")
_SPACED_PLACEHOLDER = re.compile(r"\{\s+\{\s*\w+\s*\}\}")
_HALF_PLACEHOLDER = re.compile(r"\{\{\s*[\w|]|[\w|]\s*\}\}")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_VALUE = "1"  # takes the place of a placeholder: JSON stays JSON, inside a string and outside


def stray_braces(fillable: Fillable, *, is_payload: bool = False) -> str | None:
    """Return what is wrong with the first double braces that are no placeholder, in words that do not show the string.

    Code and JSON end in `}}` too: without {{, those are accepted if braces balance. A payload that is JSON may have any
    braces in its strings that do not look like a part of a placeholder.
    """
    text = _VALUE.join(fillable.fixed)
    problem = _problem(" ".join(fillable.fixed))
    if problem is None or not is_payload or not _is_json(text):
        return problem
    strings = map(msgspec.json.decode, _JSON_STRING.findall(text))
    return next((problem for string in strings if (problem := _problem_in_json(string)) is not None), None)


def _problem_in_json(string: str) -> str | None:
    """Return what is wrong with the braces of a string inside JSON; those that have no name beside them are right."""
    is_pair = _BRACES.findall(string)[:2] == ["{{", "}}"]
    return _problem(string) if is_pair or _HALF_PLACEHOLDER.search(string) else None


def _problem(fixed: str) -> str | None:
    found = _BRACES.findall(fixed)
    if not found or ("{{" not in found and _are_balanced(fixed)):
        return None
    if found[0] == "}}":
        return "has }} without {{ before it"
    if found[1:2] != ["}}"]:
        return "has {{ without }} after it"
    if _BEGINS_WITH_DEFAULT.match(fixed, fixed.index("{{")):
        return "has a default with braces in {{ }}"
    return "has {{ }} around something else than a name of letters, digits and underscores"


def _are_balanced(text: str) -> bool:
    """Return whether each brace is closed after it is opened, and no placeholder was split by a space: { {name}}."""
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0 and _SPACED_PLACEHOLDER.search(text) is None


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True
