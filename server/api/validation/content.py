"""Rules of contents: texts, attachments, templates and quick replies."""

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
from server.api.struct_values import plain_values
from server.api.validation.field_types import NO_NUL, enum_value, rule_error
from server.api.validation.rule_set import Rules

CONTENT_TYPES = ("text", "user_phone_number", "user_email")
TAGS = ("HUMAN_AGENT", "CUSTOMER_FEEDBACK")
MAX_REPLY_BYTES = 64 * 1024  # of all quick replies together, encoded: three times as much as can be sent
MAX_PLACEHOLDERS = 500  # of a template: five for each string of ten cards with three buttons
MAX_RAW_LENGTH = 10_000  # characters of a string with placeholders: five times the most that can be sent
MAX_PARSED_LENGTH = 10 * MAX_RAW_LENGTH  # longer strings are not searched for placeholders, which would take too long
_MAX_VALUE_OVERHEAD = 24  # bytes of a value in a Struct beyond its JSON: four lengths, tags, and a double
_MAX_PATH_LENGTH = 100  # characters that a violation shows of a path inside a template

_DOUBLE_BRACES = re.compile(r"\{\{|\}\}")
_BEGINS_WITH_DEFAULT = re.compile(r"\{\{\s*[A-Za-z0-9_]+\s*\|")
_SPACED_PLACEHOLDER = re.compile(r"\{\s+\{\s*\w+\s*\}\}")
_HALF_PLACEHOLDER = re.compile(r"\{\{\s*[\w|]|[\w|]\s*\}\}")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_VALUE = "1"  # replaces placeholders in JSON, which stays valid with it inside and outside of strings

WithoutNul = Annotated[str, StringConstraints(pattern=NO_NUL.pattern)]


def _check_string(text: str, rule: StringRule) -> str:
    if (problem := string_problem(text, rule)) is not None:
        raise rule_error(problem)
    return text


def _optional(rule: StringRule) -> AfterValidator:
    """Return a check of an optional string with placeholders."""
    return AfterValidator(lambda text: _check_string(text, rule) if text else text)


class AttachmentRules(Rules):
    """A file by its URL, or a template."""

    type: Annotated[int, enum_value(AttachmentType.DESCRIPTOR, required=True)]
    url: Annotated[str, _optional(URL)] | None = Field(default=None, validate_default=True)
    template: Any = Field(default=None, validate_default=True)

    @field_validator("url")
    @classmethod
    def _url_unless_template(cls, url: str | None, given: ValidationInfo) -> str | None:
        if url is None and given.data.get("type") not in (None, AttachmentType.ATTACHMENT_TYPE_TEMPLATE):
            raise rule_error("is required, except for a template")
        return url

    @field_validator("template")
    @classmethod
    def _template_of_attachment(cls, template: Struct | None, given: ValidationInfo) -> Struct | None:
        if "type" not in given.data:
            return template
        is_template = given.data["type"] == AttachmentType.ATTACHMENT_TYPE_TEMPLATE
        fields = template.fields if template is not None else {}
        if is_template and not fields:
            raise rule_error("is required for a template")
        if fields and not is_template:
            raise rule_error("must be empty, except for a template")
        if template is not None and (problem := _struct_problem(template)) is not None:
            raise rule_error(problem)
        return template


def _known_content_type(content_type: str) -> str:
    if content_type not in CONTENT_TYPES:
        raise rule_error("must be text, user_phone_number or user_email")
    return content_type


class QuickReplyRules(Rules):
    """A button below the text."""

    content_type: Annotated[str, AfterValidator(_known_content_type)] = "text"
    title: Annotated[WithoutNul, _optional(OTHER_TITLE)] = Field(default="", validate_default=True)
    payload: Annotated[WithoutNul, _optional(PAYLOAD)] = ""

    @field_validator("title")
    @classmethod
    def _title_of_text_reply(cls, title: str, given: ValidationInfo) -> str:
        if not title and given.data.get("content_type") == "text":
            raise rule_error("must have 1 to 20 characters if content_type is text")
        return _check_string(title, TITLE) if given.data.get("content_type") == "text" else title


def _total_size(replies: Sequence[QuickReply]) -> Sequence[QuickReply]:
    """Limit the total size of the replies before variables are filled in."""
    if (size := sum(reply.ByteSize() for reply in replies)) > MAX_REPLY_BYTES:
        raise rule_error(f"must have at most {MAX_REPLY_BYTES:,} bytes together, have {size:,}")
    return replies


class ContentRules(Rules):
    """A text or an attachment, with quick replies and options."""

    attachment: AttachmentRules | None = None
    text: WithoutNul = Field(default="", validate_default=True)
    quick_replies: Annotated[
        list[QuickReplyRules], BeforeValidator(_total_size), Field(default_factory=list, max_length=13)
    ]
    messaging_type: Annotated[int, enum_value(MessagingType.DESCRIPTOR)] = 0
    tag: str = Field(default="", validate_default=True)
    notification_type: Annotated[int, enum_value(NotificationType.DESCRIPTOR)] = 0

    @field_validator("text")
    @classmethod
    def _text_or_attachment(cls, text: str, given: ValidationInfo) -> str:
        has_attachment = given.data.get("attachment") is not None
        if not text and not has_attachment and "attachment" in given.data:  # an invalid attachment is not in data
            raise rule_error("is required without an attachment")
        if text and has_attachment:
            raise rule_error("must be empty with an attachment: the platform takes one or the other")
        return _check_string(text, TEXT) if text else text

    @field_validator("tag")
    @classmethod
    def _tag_only_for_tagged_messages(cls, tag: str, given: ValidationInfo) -> str:
        if "messaging_type" not in given.data:
            return tag
        is_tagged = given.data["messaging_type"] == MessagingType.MESSAGING_TYPE_MESSAGE_TAG
        if is_tagged and tag not in TAGS:
            raise rule_error("must be HUMAN_AGENT or CUSTOMER_FEEDBACK with MESSAGING_TYPE_MESSAGE_TAG")
        if tag and not is_tagged:
            raise rule_error("must be empty, except with MESSAGING_TYPE_MESSAGE_TAG")
        return tag


def _struct_problem(template: Struct) -> str | None:
    """Return the problem of a template, if any; the values of a far too large one are not checked."""
    if template.ByteSize() > MAX_TEMPLATE_BYTES + MAX_TEMPLATE_NODES * _MAX_VALUE_OVERHEAD:
        return f"must have at most {MAX_TEMPLATE_BYTES:,} bytes as JSON and {MAX_TEMPLATE_NODES:,} values, has more"
    if not all(map(_is_allowed_leaf, _leaves(template.fields))):
        return "must not hold NUL characters or numbers that are not finite"
    payload = plain_values(template)
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


def _is_allowed_leaf(leaf: str | float) -> bool:
    return "\0" not in leaf if isinstance(leaf, str) else isfinite(leaf)


def _template_problem(template: dict[str, Any]) -> str | None:
    """Return the problem of the first invalid string or key of a template, with its path."""
    if any("{{" in key or "}}" in key for key in _keys(template)):
        return "must not have {{ or }} in a key: only values are filled in"
    placeholders = 0
    for string in template_strings(template):
        if (problem := template_problem(string.text, string.rule)) is not None:
            path = string.path if len(string.path) <= _MAX_PATH_LENGTH else f"{string.path[:_MAX_PATH_LENGTH]}…"
            return f"{path} {problem}"
        placeholders += Fillable(string.text).count if "{{" in string.text else 0
    if placeholders > MAX_PLACEHOLDERS:
        return f"must have at most {MAX_PLACEHOLDERS} placeholders, has {placeholders:,}"
    return None


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)


def string_problem(text: str, rule: StringRule) -> str | None:
    """Return the problem of a string for every recipient, if any; the result does not show the string."""
    if len(text) > MAX_PARSED_LENGTH:
        return f"must have at most {rule.limit:,} characters, has {len(text):,}"
    fillable = Fillable(text, is_url=rule.is_url)
    problem = _length_problem(text, fillable, rule) or braces_problem(fillable, is_payload=rule.is_payload)
    if problem is not None:
        return problem
    if rule.is_url and not _may_be_address(fillable):
        return "must be an http or https address"
    if rule.is_required and not fillable.count and is_blank(text):
        return "must not be blank: it has only spaces or invisible characters"
    return None


def template_problem(text: str, rule: StringRule) -> str | None:
    """Return the problem of a template's string; the platform checks the lengths of strings without placeholders."""
    is_blank_title = rule.is_required and is_blank(text)
    if is_blank_title or ("{{" in text and Fillable(text).count):
        return string_problem(text, rule)
    return braces_problem(Fillable(text), is_payload=rule.is_payload) if "{{" in text or "}}" in text else None


def recipient_violations(content: FillableContent, recipients: Sequence[Recipient], *, first: int) -> list[Violation]:
    """Return the violations of recipients whose variables do not fit the content; indices start at `first`."""
    if not content.variables:
        return []
    return [
        violation
        for index, recipient in enumerate(recipients, first)
        if (problem := content.problem(recipient.variable_values())) is not None
        for violation in _violations(f"recipients[{index}]", problem, recipient)
    ]


def _violations(path: str, problem: ContentProblem, recipient: Recipient) -> Iterator[Violation]:
    """Yield a violation at the name if it is missing, and one at the variables for every other problem."""
    is_name_missing = "name" in problem.missing and "name" not in recipient.variables
    if is_name_missing:
        yield Violation(f"{path}.name", problem.words)
    if not is_name_missing or len(problem.missing) > 1:
        yield Violation(f"{path}.variables", problem.words)


def _length_problem(text: str, fillable: Fillable, rule: StringRule) -> str | None:
    has_placeholders = fillable.count > 0
    is_too_long_raw = len(text) > MAX_RAW_LENGTH and (has_placeholders or rule is TEXT)
    length = len(text) if is_too_long_raw else sum(map(len, fillable.fixed))
    if length <= rule.limit:
        return None
    counted = ""
    if has_placeholders or rule is TEXT:
        counted = " before its variables are filled in" if is_too_long_raw else " without its variables"
    return f"must have at most {rule.limit:,} characters, has {length:,}{counted}"


def _may_be_address(fillable: Fillable) -> bool:
    """Return False if no values make the URL a web address; one that begins with a placeholder may be anything."""
    return fillable.begins_with_placeholder or is_web_address("x".join(fillable.fixed))


def braces_problem(fillable: Fillable, *, is_payload: bool = False) -> str | None:
    """Return the problem of the first double braces outside of placeholders, if any; it does not show the string.

    Recipients would get a misspelt {{variable}} unchanged. Code and JSON contain `}}` too: without `{{` it is accepted
    if the braces balance. Strings of a JSON payload may hold all braces that do not look like part of a placeholder.
    """
    text = _VALUE.join(fillable.fixed)
    problem = _braces_problem(" ".join(fillable.fixed))
    if problem is None or not is_payload or not _is_json(text):
        return problem
    strings = map(msgspec.json.decode, _JSON_STRING.findall(text))
    return next((problem for string in strings if (problem := _problem_in_json(string)) is not None), None)


def _problem_in_json(string: str) -> str | None:
    """Return the problem of the braces of a string inside JSON; braces without an adjacent name are accepted."""
    is_pair = _DOUBLE_BRACES.findall(string)[:2] == ["{{", "}}"]
    return _braces_problem(string) if is_pair or _HALF_PLACEHOLDER.search(string) else None


def _braces_problem(fixed: str) -> str | None:
    found = _DOUBLE_BRACES.findall(fixed)
    if not found or ("{{" not in found and _are_balanced(fixed)):
        return None
    if found[0] == "}}":
        return "has }} without {{ before it"
    if found[1:2] != ["}}"]:
        return "has {{ without }} after it"
    if _BEGINS_WITH_DEFAULT.match(fixed, fixed.index("{{")):
        return "has a default with braces in {{ }}"
    return "has {{ }} around text that is not a name of letters, digits and underscores"


def _are_balanced(text: str) -> bool:
    """Return whether the braces balance, and no space splits the braces of a placeholder, as in { {name}}."""
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
