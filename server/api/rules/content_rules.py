"""The rules of what is sent."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any

from google.protobuf.struct_pb2 import Struct, Value
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from domain.content import OTHER_TITLE, PAYLOAD, TEXT, TITLE, URL, StringRule, template_strings
from domain.placeholders import Fillable
from domain.template_size import MAX_TEMPLATE_BYTES, MAX_TEMPLATE_NODES, excess
from redrive.v1.content_pb2 import AttachmentType, MessagingType, NotificationType, QuickReply
from server.api.rules.broken_rule import broken_rule
from server.api.rules.content_strings import string_problem, template_problem
from server.api.rules.field_kinds import NO_NUL, known
from server.api.rules.rule_set import Rules
from server.api.struct_values import plain

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
    return excess(payload) or _template_problem(payload)


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
